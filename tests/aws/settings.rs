//! The plugin's configuration for a test server, independent of the machine's own AWS settings.
#![forbid(unsafe_code)]

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// A plugin configuration under construction.
#[derive(Clone, Debug)]
pub struct Settings(Value);

impl Settings {
    /// Reads from a server or proxy at `address`, in us-east-1, with the owner's credentials.
    pub fn at(address: SocketAddr) -> Settings {
        assert_no_proxy();
        let (config, credentials) = shared_files();
        Settings(json!({
            "decodeThreads": 2,
            "aws": {
                "endpoint": format!("http://{address}"),
                "region": "us-east-1",
                "config": config,
                "credentials": credentials,
            }
        }))
    }

    /// With this key set.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Settings {
        self.0[key] = value.into();
        self
    }

    /// With this key of the `aws` object set.
    pub fn with_aws(mut self, key: &str, value: impl Into<Value>) -> Settings {
        self.0["aws"][key] = value.into();
        self
    }

    /// Without this key of the `aws` object.
    pub fn without_aws(mut self, key: &str) -> Settings {
        self.0["aws"]
            .as_object_mut()
            .expect("an object")
            .remove(key);
        self
    }

    pub fn json(&self) -> String {
        self.0.to_string()
    }
}

/// An empty config file, and a credentials file that the servers accept.
pub fn shared_files() -> (PathBuf, PathBuf) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("aws-files");
    fs::create_dir_all(&folder).expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        if fs::read_to_string(&path).ok().as_deref() != Some(text) {
            // Atomic, because other tests read it at the same time.
            let draft = folder.join(format!("{name}-{}", std::process::id()));
            fs::write(&draft, text).expect("a file");
            fs::rename(&draft, &path).expect("the file in its place");
        }
        path
    };
    let credentials = "[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n";
    (
        write("config", "[default]\n"),
        write("credentials", credentials),
    )
}

/// Fails if proxy variables, which the plugin honors, would redirect requests for this machine.
fn assert_no_proxy() {
    let set = |name: &str| {
        let value = env::var(name).or_else(|_| env::var(name.to_lowercase()));
        value.ok().filter(|value| !value.is_empty())
    };
    let proxied = ["HTTP_PROXY", "ALL_PROXY"]
        .into_iter()
        .find_map(set)
        .is_some();
    let exempted = set("NO_PROXY").is_some_and(|hosts| hosts.contains("127.0.0.1") || hosts == "*");
    assert!(
        exempted || !proxied,
        "an HTTP proxy is set in the environment: run these tests with NO_PROXY=127.0.0.1"
    );
}
