use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::Command;

use super::*;

/// A folder, gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path =
            std::env::temp_dir().join(format!("chatbridge-secrets-{}-{:x}", std::process::id(), fastrand::u64(..)));
        std::fs::create_dir(&path).expect("the temporary directory takes folders");
        Self(path)
    }

    fn file(&self, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(format!("{:x}", fastrand::u64(..)));
        std::fs::write(&path, bytes).expect("writable");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

const FAULTS: &[(&str, &str)] = &[
    ("", "is empty"),
    (" \n", "is empty"),
    ("\u{FEFF}secret\n", "byte order mark"),
    ("\n\u{FEFF}secret", "U+FEFF"),
    ("\"secret\"", "quotation marks"),
    ("'secret'\n", "quotation marks"),
    ("“secret”", "quotation marks"),
    ("sec\u{200B}ret", "U+200B"),
    ("secret\u{200D}\n", "U+200D"),
    ("sec\u{202E}ret", "U+202E"),
    ("sec\u{A0}ret", "U+00A0"),
    ("sec\tret", "U+0009"),
    ("sec\0ret", "U+0000"),
    ("user\nsecret", "more than one line"),
    ("PASTE-apiTokenInstance-HERE", "placeholder"),
    ("Bearer PASTE-TOKEN-HERE", "placeholder"),
];

#[test]
fn what_cannot_be_meant_is_named_and_the_secret_is_not() {
    for (text, expected) in FAULTS {
        let fault = secret_of(text).expect_err(text).to_string();
        assert!(fault.contains(expected), "{text:?}: {fault}");
    }
}

#[test]
fn white_space_around_it_goes_and_everything_else_stays() {
    for (text, expected) in [
        ("secret\n", "secret"),
        (" secret\r\n", "secret"),
        ("two words", "two words"),
        ("пароль", "пароль"),
        ("it's", "it's"),
        ("\"", "\""),
        ("'a\"", "'a\""),
        ("-----BEGIN KEY-----\r\nabc\r\n-----END KEY-----\n", "-----BEGIN KEY-----\r\nabc\r\n-----END KEY-----"),
    ] {
        assert_eq!(secret_of(text).map(|secret| secret.expose_secret().to_owned()), Ok(expected.to_owned()), "{text}");
    }
}

/// Every key that takes a secret: in the file, in a file of its own, in the environment.
#[test]
fn every_secret_is_read_alike() {
    const BEFORE: &str = "[webhook]\n[[green_api.instances]]\nid = 7\ntoken = 'abc'\n";
    const CHATAPP: &str = "[webhook]\n[chatapp]\nemail = 'a@b'\napp_id = 'i'\n";
    let folder = Folder::new();
    // (what stands before, the section, the key that takes the secret, the key that takes its file, the variable)
    let keys = [
        ("[webhook]\n", "[[green_api.instances]]\nid = 7", "token", "token_file", "GREEN_API__INSTANCES__7__TOKEN"),
        (
            "[webhook]\n",
            "[[green_api.instances]]\nid = 7\ntoken = 'abc'\nreceive = 'webhook'",
            "webhook_token",
            "webhook_token_file",
            "GREEN_API__INSTANCES__7__WEBHOOK_TOKEN",
        ),
        ("[[green_api.instances]]\nid = 7\ntoken = 'abc'\n", "[webhook]", "token", "token_file", "WEBHOOK__TOKEN"),
        (
            BEFORE,
            "[schema_registry]\nurl = 'http://a'\nusername = 'u'",
            "password",
            "password_file",
            "SCHEMA_REGISTRY__PASSWORD",
        ),
        (BEFORE, "[schema_registry]\nurl = 'http://a'", "token", "token_file", "SCHEMA_REGISTRY__TOKEN"),
        (CHATAPP, "", "password", "password_file", "CHATAPP__PASSWORD"),
        (CHATAPP, "password = 'p'", "access_token", "access_token_file", "CHATAPP__ACCESS_TOKEN"),
        (CHATAPP, "password = 'p'", "refresh_token", "refresh_token_file", "CHATAPP__REFRESH_TOKEN"),
        (CHATAPP, "password = 'p'", "callback_secret", "callback_secret_file", "CHATAPP__CALLBACK_SECRET"),
        (
            BEFORE,
            "[kafka]",
            "properties.\"sasl.password\"",
            "property_files.\"sasl.password\"",
            "KAFKA__PROPERTIES__SASL_PASSWORD",
        ),
        (
            BEFORE,
            "[tracing]\notlp_endpoint = 'http://a'",
            "otlp_headers.authorization",
            "otlp_header_files.authorization",
            "TRACING__OTLP_HEADERS__AUTHORIZATION",
        ),
    ];
    for (before, section, key, file_key, variable) in keys {
        // Long enough for each of them; what surrounds it is what is tried.
        let secret = "secretsecretsecret";
        let variable = format!("CHATBRIDGE__{variable}");
        let problems = |text: &str, by_environment: bool| {
            let quoted = serde_json::Value::from(text).to_string();
            let path = folder.file(text.as_bytes());
            let (lines, environment) = match by_environment {
                true => (section.to_owned(), vec![(variable.clone(), text.to_owned())]),
                false => (format!("{section}\n{key} = {quoted}"), Vec::new()),
            };
            let inline = folder.file(format!("{before}{lines}\n").as_bytes());
            let by_file = folder.file(format!("{before}{section}\n{file_key} = {path:?}\n").as_bytes());
            let load = |config, environment: Vec<(String, String)>| match crate::config::load(Some(config), environment)
            {
                Ok(_) => Vec::new(),
                Err(error) => error.problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
            };
            [load(&inline, environment), load(&by_file, Vec::new())]
        };
        for (text, expected) in FAULTS {
            let text = text.replace("secret", secret);
            for by_environment in [false, true] {
                // TOML takes no NUL, and to a librdkafka property no text is its default.
                if text.contains('\0') || (text.is_empty() && key.starts_with("properties")) {
                    continue;
                }
                for found in problems(&text, by_environment) {
                    assert_eq!(found.len(), 1, "{key} = {text:?}: {found:?}");
                    assert!(found[0].contains(expected) && !found[0].contains(secret), "{key} = {text:?}: {found:?}");
                }
            }
        }
        for by_environment in [false, true] {
            assert_eq!(problems(&format!(" {secret}\n"), by_environment), [Vec::<String>::new(), Vec::new()], "{key}");
        }
    }
}

#[test]
fn only_a_regular_file_of_a_sensible_size_is_read() {
    let folder = Folder::new();
    let pipe = folder.0.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("it runs").success());
    let socket = folder.0.join("socket");
    let _listener = UnixListener::bind(&socket).expect("it can be bound");
    let linked = folder.0.join("link");
    std::os::unix::fs::symlink(folder.file(b"secret\n"), &linked).expect("it can be made");
    let large = folder.0.join("large");
    File::create(&large).and_then(|file| file.set_len(1 << 40)).expect("a file without contents");
    let read = |path: &Path| {
        let mut problems = Vec::new();
        let read = secret_file("kafka.property_files.sasl.password", path, &mut Checks::new(&mut problems));
        (read.map(|secret| secret.expose_secret().to_owned()), problems.pop().map(|problem| problem.message))
    };
    assert_eq!(read(&linked).0.as_deref(), Some("secret"));
    for (path, expected) in [
        (pipe.as_path(), "is a pipe"),
        (&socket, "is a socket"),
        (&folder.0, "is a directory"),
        (Path::new("/dev/zero"), "is a device"),
        (&large, "is larger than 1048576 bytes"),
        (&folder.file(b"\xFF\xFEs\0e\0"), "is text in UTF-16"),
        (&folder.file(b"\xC3"), "is not text in UTF-8"),
        (&folder.0.join("none"), "cannot be read"),
    ] {
        let (secret, problem) = read(path);
        let problem = problem.expect("a problem");
        assert!(secret.is_none() && problem.contains(expected), "{problem}");
    }
}

#[test]
fn a_pipe_that_takes_a_files_place_is_not_waited_for() {
    let folder = Folder::new();
    let pipe = folder.0.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("it runs").success());
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(&pipe).expect("it does not wait");
    assert!(matches!(read(&opened, 10), Err(FileFault::NotAFile("a pipe"))));
}
