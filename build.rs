//! Link options that a manifest cannot state.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // The async runtime installs a handler for SIGCHLD that stays for the life of the process, so its code has to stay
    // mapped when a host unloads the library; loading it again finds the same copy, with the descriptors that it has.
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
