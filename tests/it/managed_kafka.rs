//! Every recipe of `docs/managed-kafka.md` is a configuration that `chatbridge check` accepts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::generate_simple_self_signed;

const DOCUMENT: &str = include_str!("../../docs/managed-kafka.md");
/// Where the recipes have their files.
const PLACE: &str = "/etc/chatbridge";

/// What stands between "```toml" and "```".
fn recipes() -> Vec<&'static str> {
    DOCUMENT.split("```toml\n").skip(1).map(|rest| rest.split("```").next().expect("its end")).collect()
}

/// A folder with every file that a recipe names; gone with the test.
struct Files(PathBuf);

impl Files {
    fn new() -> Self {
        let dir =
            std::env::temp_dir().join(format!("chatbridge-managed-{}-{:x}", std::process::id(), fastrand::u64(..)));
        fs::create_dir_all(&dir).expect("the temporary directory takes folders");
        let made = generate_simple_self_signed(["kafka.example".to_owned()]).expect("a certificate");
        let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        for (name, text) in [
            ("ca.pem", certificate.as_str()),
            ("ca.crt", &certificate),
            ("service.cert", &certificate),
            ("service.key", &key),
            ("kafka-password", "hunter2\n"),
            ("password", "hunter2"),
        ] {
            fs::write(dir.join(name), text).expect("writable");
        }
        Self(dir)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Whether `check` accepts the recipe in that folder, and what it says.
fn check(recipe: &str, dir: &Path) -> (bool, String) {
    let instance =
        "[[green_api.instances]]\nid = 1101000001\ntoken = \"d75b3a66374942c5b3c019c698abc2067e151558acbd412345\"\n";
    let config = format!("{}\n{instance}", recipe.replace(PLACE, &dir.to_string_lossy()));
    let path = dir.join("config.toml");
    fs::write(&path, config).expect("writable");
    let out = Command::new(env!("CARGO_BIN_EXE_chatbridge"))
        .args(["check", "--config"])
        .arg(&path)
        .output()
        .expect("the binary starts");
    let said = [out.stdout, out.stderr].concat();
    (out.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn check_accepts_every_recipe_and_needs_every_file() {
    let files = Files::new();
    let recipes = recipes();
    assert!(recipes.len() >= 6, "{} recipes", recipes.len());
    for recipe in recipes {
        let (accepted, said) = check(recipe, &files.0);
        assert!(accepted, "{recipe}\n{said}");
        let elsewhere = recipe.replace(PLACE, "/nowhere");
        let (accepted, said) = check(&elsewhere, &files.0);
        assert!(!accepted, "{elsewhere}\n{said}");
    }
}

#[test]
fn every_property_of_a_recipe_is_explained() {
    let (_, rest) = DOCUMENT.split_once("## Properties").expect("the chapter");
    let (explained, _) = rest.split_once("\n## ").expect("another chapter");
    for line in recipes().iter().flat_map(|recipe| recipe.lines()) {
        if let Some((property, _)) = line.strip_prefix('"').and_then(|line| line.split_once('"')) {
            assert!(explained.contains(&format!("`{property}`")), "{property} is explained nowhere");
        }
    }
}

#[test]
fn check_says_what_to_use_instead_of_tokens() {
    let files = Files::new();
    let recipe =
        "[kafka]\n[kafka.properties]\n\"security.protocol\" = \"SASL_SSL\"\n\"sasl.mechanism\" = \"OAUTHBEARER\"\n";
    let (accepted, said) = check(recipe, &files.0);
    assert!(!accepted && said.contains("use PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"), "{said}");
}
