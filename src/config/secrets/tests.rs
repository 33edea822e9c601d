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
