//! Who may know whom (the map in `src/lib.rs`): kept by reading the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A function longer than this does more than one thing.
const FUNCTION_LINES_MAX: usize = 70;

/// The rooms of `src`, and whom each of them may know besides the packages.
const ROOMS: &[(&str, &[&str])] = &[
    ("fit", &[]),
    ("seal", &[]),
    ("shutdown", &[]),
    ("supervisor", &[]),
    ("http", &[]),
    ("reminder", &[]),
    ("redact", &["fit"]),
    ("logging", &["fit", "redact"]),
    ("config", &["seal"]),
    ("core", &["config", "http", "redact"]),
    ("inbound", &["config", "http", "reminder"]),
    ("watch", &["config", "core", "http", "inbound", "redact", "reminder", "supervisor"]),
    ("green_api", &["config", "core", "http", "inbound", "redact", "reminder", "watch"]),
    ("chatapp", &["config", "core", "http", "inbound", "redact", "seal", "supervisor", "watch"]),
    (
        "app",
        &["chatapp", "config", "core", "green_api", "http", "inbound", "redact", "reminder", "supervisor", "watch"],
    ),
    ("cli", &["app", "chatapp", "config", "core", "fit", "green_api", "http", "logging", "redact", "shutdown"]),
    ("simulation", &["config", "core", "green_api", "watch"]),
];

/// The packages, and which of ours each may know.
const PACKAGES: &[(&str, &[&str])] = &[("base", &[]), ("event", &["base"]), ("pusher", &["base"]), ("lab", &[])];

/// A source file: its name below the package's `src`, without `.rs`, and what is in it.
struct Source {
    name: String,
    /// Without comments and without the unit tests.
    code: String,
}

fn sources(folder: &str) -> Vec<Source> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("readable").path();
            if path.is_dir() { walk(&path, found) } else { found.push(path) }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut found = Vec::new();
    walk(&root, &mut found);
    let rust = found.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let source = |path: PathBuf| Source {
        name: path.with_extension("").strip_prefix(&root).expect("below it").to_string_lossy().into_owned(),
        code: code(&fs::read_to_string(&path).expect("readable")),
    };
    rust.map(source).filter(|source| !source.name.split('/').any(|part| part == "tests")).collect()
}

fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn package(name: &str) -> Vec<Source> {
    sources(&format!("crates/{name}/src"))
}

/// Which files each file names, by the paths in its `use` declarations and in its code. A file may use what its own
/// parents declare: that is not counted.
fn imports(sources: &[Source]) -> BTreeMap<&str, BTreeSet<&str>> {
    let names: BTreeSet<&str> = sources.iter().map(|source| source.name.as_str()).collect();
    let of = |source: &'_ Source| {
        let paths = paths(&source.code);
        let found = paths.iter().filter_map(|path| resolve(path, &source.name, &names));
        found.filter(|found| *found != source.name && !source.name.starts_with(&format!("{found}/"))).collect()
    };
    sources.iter().map(|source| (source.name.as_str(), of(source))).collect()
}

/// Every path in this code, the trees of `use` declarations spelt out.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find("::") {
        let is_name = |character: char| character.is_alphanumeric() || character == '_';
        let start =
            rest[..at].rfind(|character| !is_name(character) && character != ':').map_or(0, |before| before + 1);
        let mut end = at;
        let text = &rest[end..];
        end += text.find(|character| !is_name(character) && character != ':').unwrap_or(text.len());
        let head: Vec<String> =
            rest[start..end].split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
        if rest[..end].ends_with("::") && rest[end..].starts_with('{') {
            let close = matching(&rest[end..]).map_or(rest.len(), |close| end + close);
            let inner = rest[end + 1..close].to_owned();
            for leaf in leaves(&inner) {
                found.push(head.iter().cloned().chain(leaf).collect());
            }
            end = close;
        } else {
            found.push(head);
        }
        rest = &rest[end.min(rest.len())..];
    }
    found
}

/// Where the brace that `text` begins with is closed.
fn matching(text: &str) -> Option<usize> {
    let mut depth = 0;
    text.char_indices().find_map(|(at, character)| {
        depth += i32::from(character == '{') - i32::from(character == '}');
        (depth == 0).then_some(at)
    })
}

/// The paths of a `use` declaration's braces.
fn leaves(inner: &str) -> Vec<Vec<String>> {
    let (mut depth, mut part, mut parts) = (0, String::new(), Vec::new());
    for character in inner.chars() {
        depth += i32::from(character == '{') - i32::from(character == '}');
        if character == ',' && depth == 0 {
            parts.push(std::mem::take(&mut part));
        } else {
            part.push(character);
        }
    }
    parts.push(part);
    let split =
        |text: &str| text.split("::").map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect();
    let mut found = Vec::new();
    for part in parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty()) {
        match part.split_once('{') {
            Some((head, tail)) => {
                let head: Vec<String> = split(head);
                let tail = tail.rsplit_once('}').map_or(tail, |(tail, _)| tail);
                found.extend(leaves(tail).into_iter().map(|leaf| head.iter().cloned().chain(leaf).collect()));
            }
            None => found.push(split(part.split(" as ").next().unwrap_or(part))),
        }
    }
    found
}

/// The file that this path leads to from `from`.
fn resolve<'n>(path: &[String], from: &str, names: &BTreeSet<&'n str>) -> Option<&'n str> {
    let mut base: Vec<&str> = from.split('/').collect();
    let mut path = path.iter().map(String::as_str).peekable();
    match *path.peek()? {
        "crate" => {
            base.clear();
            path.next();
        }
        "self" => drop(path.next()),
        "super" => {
            while path.next_if_eq(&"super").is_some() {
                base.pop();
            }
        }
        _ => {}
    }
    let mut found = None;
    for part in path {
        base.push(part);
        match names.get(base.join("/").as_str()) {
            Some(name) => found = Some(*name),
            None => break,
        }
    }
    found
}

/// The first circle there is: each file knows the next one, and the last one the first.
fn circle<'n>(imports: &BTreeMap<&'n str, BTreeSet<&'n str>>) -> Option<Vec<&'n str>> {
    fn visit<'n>(
        at: &'n str,
        imports: &BTreeMap<&'n str, BTreeSet<&'n str>>,
        way: &mut Vec<&'n str>,
        done: &mut BTreeSet<&'n str>,
    ) -> Option<Vec<&'n str>> {
        if let Some(begin) = way.iter().position(|passed| *passed == at) {
            return Some(way[begin..].to_vec());
        }
        if !done.insert(at) {
            return None;
        }
        way.push(at);
        let found = imports.get(at).into_iter().flatten().find_map(|next| visit(next, imports, way, done));
        way.pop();
        found
    }
    let mut done = BTreeSet::new();
    imports.keys().find_map(|name| visit(name, imports, &mut Vec::new(), &mut done))
}

#[test]
fn no_imports_go_in_a_circle() {
    let packages = PACKAGES.iter().map(|(name, _)| package(name));
    for sources in packages.chain([sources("src")]) {
        assert!(sources.len() > 3, "the sources are there");
        assert_eq!(circle(&imports(&sources)), None);
    }
}

#[test]
fn a_planted_circle_is_found() {
    let source = |name: &str, code: &str| Source { name: name.to_owned(), code: code.to_owned() };
    let planted = [
        source("a", "use crate::b::{c::{self, Thing}, Other};"),
        source("b", "pub mod c;"),
        source("b/c", "use super::d::X;\nfn f() { crate::b::g() }"),
        source("b/d", "fn f() -> crate::a::Y { todo!() }"),
    ];
    assert_eq!(circle(&imports(&planted)), Some(vec!["a", "b/c", "b/d"]));
    assert_eq!(circle(&imports(&planted[..3])), None, "what a file uses of its own parent is no circle");
}

#[test]
fn every_room_knows_only_whom_it_may() {
    let sources = sources("src");
    let imports = imports(&sources);
    let room = |name: &str| name.split('/').next().unwrap_or_default().to_owned();
    for (name, known) in imports.iter().filter(|(name, _)| !matches!(**name, "lib" | "main")) {
        let may =
            ROOMS.iter().find(|(of, _)| *of == room(name)).unwrap_or_else(|| panic!("{name} is in no known room"));
        for other in known {
            let is_allowed = room(other) == room(name) || may.1.contains(&room(other).as_str());
            assert!(is_allowed, "src/{name}.rs knows src/{other}.rs");
        }
    }
    for (name, may) in PACKAGES {
        for Source { name: file, code } in package(name) {
            for (other, _) in PACKAGES.iter().filter(|(other, _)| other != name && !may.contains(other)) {
                assert!(!code.contains(&format!("chatbridge_{other}")), "crates/{name}/src/{file}.rs knows {other}");
            }
            assert!(!code.contains("chatbridge::"), "crates/{name}/src/{file}.rs knows the daemon");
        }
    }
}

/// Files of `sources` that are or lie below one of `places`.
fn below<'s>(sources: &'s [Source], places: &[&str]) -> Vec<&'s Source> {
    let is_below = |name: &str| places.iter().any(|place| name == *place || name.starts_with(&format!("{place}/")));
    for place in places {
        assert!(sources.iter().any(|source| source.name.starts_with(place)), "{place} is there");
    }
    sources.iter().filter(|source| is_below(&source.name)).collect()
}

#[test]
fn pure_logic_has_no_runtime_and_no_wires() {
    const IMPURE: [&str; 7] = ["tokio", "reqwest", "rdkafka", "axum", "std::fs", "TcpStream", "Timestamp::now"];
    let ours = sources("src");
    let pure = [
        "chatapp/api/answer",
        "chatapp/hear/ahead",
        "chatapp/hear/standing",
        "chatapp/keep/forms",
        "chatapp/keep/lanes",
        "chatapp/keep/unpack",
        "chatapp/mend/backfill/walk",
        "chatapp/tokens/state",
        "cli/check/doctor/chatapp/verdict",
        "cli/check/doctor/instance",
        "cli/check/doctor/push",
        "cli/check/doctor/topic",
        "core/policy",
        "core/prepared",
        "core/schema",
        "core/schema_registry/answer",
        "core/settled",
        "green_api/answer",
        "inbound/descriptors/budget",
        "watch/admin/host",
    ];
    let session =
        ["action", "auth", "channels", "code", "frame", "limits", "liveness", "reconnect", "report", "session"];
    let [base, event, pusher, lab] = ["base", "event", "pusher", "lab"].map(package);
    let all = below(&ours, &pure).into_iter().chain(below(&base, &["json", "retry"])).chain(&event);
    for Source { name, code } in all.chain(below(&pusher, &session)).chain(below(&lab, &["oracle"])) {
        for word in IMPURE {
            assert!(!code.contains(word), "{name} knows of {word}");
        }
    }
    for Source { name, code } in below(&ours, &["inbound/envelope", "inbound/gate"]) {
        for word in IMPURE.iter().filter(|word| **word != "axum") {
            assert!(!code.contains(word), "{name} knows of {word}");
        }
    }
}

#[test]
fn libraries_stay_at_the_rim() {
    let only = |sources: &[Source], places: &[&str], word: &str| {
        let allowed: Vec<&str> = below(sources, places).iter().map(|source| source.name.as_str()).collect();
        for Source { name, code } in sources {
            assert!(allowed.contains(&name.as_str()) || !code.contains(word), "{name} knows of {word}");
        }
    };
    let ours = sources("src");
    only(&ours, &["core/publish/kafka", "core/consume", "cli/check/doctor/kafka", "cli/demo"], "rdkafka::");
    let reqwest = [
        "green_api/client",
        "green_api/debug",
        "green_api/examine",
        "green_api/pace",
        "chatapp/api",
        "core/schema_registry",
        "watch/otlp",
        "app",
        "http",
    ];
    only(&ours, &reqwest, "reqwest::");
    only(&ours, &["watch/otlp"], "opentelemetry");
    only(&ours, &["app/webhook", "chatapp/push", "green_api/push", "inbound", "http", "watch/admin"], "axum::");
    only(&ours, &["green_api/pace"], "tower_");
    only(&ours, &["cli", "logging"], "clap::");
    only(&package("pusher"), &["link"], "tungstenite::");
}

#[test]
fn a_judge_shares_nothing_with_what_it_judges() {
    for Source { name, code } in below(&sources("src"), &["cli/demo"]) {
        let is_judge = name.ends_with("judge");
        assert!(!is_judge || !code.contains("crate::"), "src/{name}.rs knows the bridge");
    }
}

#[test]
fn nothing_is_global() {
    let packages = PACKAGES.iter().flat_map(|(name, _)| package(name));
    for Source { name, code } in sources("src").into_iter().chain(packages) {
        for word in ["static mut", "lazy_static", "thread_local!", "LazyLock", "OnceLock"] {
            assert!(!code.contains(word), "{name} has a {word}");
        }
    }
}

#[test]
fn functions_are_short() {
    let packages = PACKAGES.iter().flat_map(|(name, _)| package(name));
    let mut long = Vec::new();
    for Source { name, code } in sources("src").into_iter().chain(packages) {
        let mut begun: Option<(usize, usize, &str)> = None;
        for (number, line) in code.lines().enumerate() {
            let indent = line.len() - line.trim_start().len();
            match begun {
                None if line.contains("fn ") && !line.trim_end().ends_with(';') && !line.contains('}') => {
                    begun = Some((number, indent, line.trim()));
                }
                Some((from, depth, what)) if line.trim_end() == format!("{}}}", " ".repeat(depth)) => {
                    if number - from + 1 > FUNCTION_LINES_MAX {
                        long.push(format!("{name}: {} lines: {what}", number - from + 1));
                    }
                    begun = None;
                }
                // Declared, and not defined.
                Some((_, depth, _)) if indent <= depth && line.trim_end().ends_with(';') => begun = None,
                _ => {}
            }
        }
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
}
