//! What the machine at hand can do, found out when the code runs: one build serves all of its kind.

use pulp::Arch;

/// Name of the widest vector unit the core makes use of on this machine.
pub fn vector_unit() -> &'static str {
    match Arch::new() {
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        Arch::V4(_) => "AVX-512",
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        Arch::V3(_) => "AVX2",
        #[cfg(target_arch = "aarch64")]
        Arch::Neon(_) => "NEON",
        _ => "scalar",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vector_unit_is_one_of_this_kind_of_machine() {
        let known: &[&str] =
            if cfg!(target_arch = "aarch64") { &["NEON", "scalar"] } else { &["AVX-512", "AVX2", "scalar"] };
        assert!(known.contains(&vector_unit()));
    }
}
