//! Tells the crate what it is built for and by which compiler: `build_info` says it.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = env::var("TARGET").expect("cargo sets TARGET");
    let rustc = env::var("RUSTC").expect("cargo sets RUSTC");
    let version = Command::new(rustc).arg("--version").output().expect("the compiler that builds this runs");
    println!("cargo::rustc-env=SKIPTHINK_TARGET={target}");
    println!("cargo::rustc-env=SKIPTHINK_RUSTC={}", String::from_utf8_lossy(&version.stdout).trim());
}
