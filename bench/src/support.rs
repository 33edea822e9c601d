//! What the tests start their servers with.

#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/support/broker.rs"]
pub(crate) mod broker;
#[path = "../../tests/support/process.rs"]
pub(crate) mod process;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/support/python.rs"]
pub(crate) mod python;

/// In place of the tests' own, which would look for its folders here.
pub(crate) mod needs {
    use std::fmt;
    use std::path::PathBuf;

    #[derive(Clone, Debug)]
    pub(crate) enum Unavailable {
        Missing(String),
        Broken(String),
    }

    impl fmt::Display for Unavailable {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let (Self::Missing(text) | Self::Broken(text)) = self;
            f.write_str(text)
        }
    }

    pub(crate) fn tests_path(below: &str) -> PathBuf {
        crate::bench_path("../tests").join(below)
    }
}
