//! Completions and manual pages, by the programs they are made for.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::commands::chatbridge;

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("chatbridge-pages-{:x}", fastrand::u64(..)));
        fs::create_dir(&path).expect("writable");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn commands() -> Vec<String> {
    let help = String::from_utf8(chatbridge(&["--help"], "").stdout).expect("UTF-8");
    let (_, commands) = help.split_once("Commands:\n").expect("a list");
    let (commands, _) = commands.split_once("\n\n").expect("its end");
    let names = commands.lines().filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
    names.map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_options_and_words() {
    let folder = Folder::new();
    let script = folder.0.join("chatbridge");
    fs::write(&script, chatbridge(&["completions", "bash"], "").stdout).expect("writable");
    let completed = |words: &[&str]| {
        let line = format!(
            ". '{}' && complete -p chatbridge >/dev/null && COMP_WORDS=({}) COMP_CWORD={} && \
             _chatbridge chatbridge '{}' '{}' && printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            script.display(),
            words.join(" "),
            words.len() - 1,
            words[words.len() - 1],
            words[words.len() - 2],
        );
        let out = Command::new("bash").args(["--norc", "-c", &line]).output().expect("bash is there");
        assert!(out.status.success(), "{words:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).expect("UTF-8").lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let offered = completed(&["chatbridge", "''"]);
    for command in commands() {
        assert!(offered.contains(&command), "{command} is missing from {offered:?}");
    }
    assert_eq!(completed(&["chatbridge", "tail", "--until"]), ["--until-end"]);
    assert_eq!(completed(&["chatbridge", "schema", "as"]), ["asyncapi"]);
    assert_eq!(completed(&["chatbridge", "dlq", "rep"]), ["replay"]);
}

#[test]
fn zsh_and_fish_get_scripts_that_know_every_command() {
    for (shell, first) in [("zsh", "#compdef chatbridge\n"), ("fish", "")] {
        let script = String::from_utf8(chatbridge(&["completions", shell], "").stdout).expect("UTF-8");
        assert!(script.starts_with(first), "{shell}");
        for command in commands() {
            assert!(script.contains(&command), "{shell}: {command}");
        }
    }
    assert_eq!(chatbridge(&["completions", "abacus"], "").status.code(), Some(64));
}

#[test]
fn every_command_has_a_page_that_groff_reads_without_a_warning() {
    let folder = Folder::new();
    let dir = folder.0.join("man1");
    let out = chatbridge(&["man", "--dir", dir.to_str().expect("UTF-8")], "");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let mut names = vec!["chatbridge".to_owned(), "chatbridge-dlq-replay".to_owned()];
    names.extend(commands().iter().map(|command| format!("chatbridge-{command}")));
    for name in names {
        let page = fs::read_to_string(dir.join(format!("{name}.1"))).expect("a page");
        assert!(page.contains(&format!(".TH {name} 1")), "{page}");
        // What the environment holds now is nobody's default.
        assert!(!page.contains(env!("CARGO_MANIFEST_DIR")), "{page}");
        let read = Command::new("groff")
            .args(["-Kutf8", "-man", "-ww", "-Tutf8", "-P-cbou"])
            .arg(dir.join(format!("{name}.1")))
            .output();
        match read {
            Ok(out) => {
                assert!(out.status.success() && out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
                assert!(String::from_utf8_lossy(&out.stdout).contains("SYNOPSIS"), "{name}");
            }
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "groff: {error}"),
        }
    }
    let printed = String::from_utf8(chatbridge(&["man"], "").stdout).expect("UTF-8");
    assert_eq!(printed, fs::read_to_string(dir.join("chatbridge.1")).expect("there"));
}
