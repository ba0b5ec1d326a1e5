//! `ctcat`: the command line that hosts the plugin.

fn main() {}
