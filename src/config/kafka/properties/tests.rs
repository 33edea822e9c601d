use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use rdkafka::config::ClientConfig;

use super::*;

/// A value of each property that has other names, and that is not its default.
const VALUES: &[(&str, &str)] = &[
    ("compression.codec", "zstd"),
    ("fetch.message.max.bytes", "7"),
    ("max.in.flight.requests.per.connection", "3"),
    ("message.send.max.retries", "7"),
    ("message.timeout.ms", "7"),
    ("metadata.broker.list", "a:1"),
    ("queue.buffering.max.ms", "7"),
    ("request.required.acks", "1"),
    ("sasl.mechanisms", "PLAIN"),
    ("sasl.oauthbearer.client.id", "me"),
    ("sasl.oauthbearer.client.secret", "7"),
];

/// Every way to write this property.
fn spellings(property: &str) -> Vec<String> {
    let aliases = ALIASES.iter().filter(|(_, canonical)| *canonical == property).map(|(alias, _)| *alias);
    aliases.chain([property]).flat_map(|name| [name.to_owned(), format!("topic.{name}")]).collect()
}

fn problems_of(given: &[(&str, &str)], files: &[(&str, &str)]) -> Vec<String> {
    let secret = |(name, value): &(&str, &str)| ((*name).to_owned(), Given((*value).to_owned().into()));
    let file = |(name, path): &(&str, &str)| ((*name).to_owned(), PathBuf::from(path));
    let mut problems = Vec::new();
    let mut checks = Checks::new(&mut problems);
    properties(given.iter().map(secret).collect(), files.iter().map(file).collect(), &mut checks.table("kafka"));
    problems.iter().map(ToString::to_string).collect()
}

/// The source that is linked, as cargo unpacked it. Of the workspace's packages for other platforms, and of those that
/// are not in the default build, cargo may have to fetch the manifests first.
fn source_of_librdkafka() -> String {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .expect("cargo is there");
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("a list");
    let manifest = packages.iter().find(|package| package["name"] == "rdkafka-sys").expect("a dependency");
    let manifest = PathBuf::from(manifest["manifest_path"].as_str().expect("a path"));
    std::fs::read_to_string(manifest.with_file_name("librdkafka/src/rdkafka_conf.c")).expect("the source is there")
}

/// A row of librdkafka's table of properties.
struct Row<'s> {
    is_global: bool,
    name: &'s str,
    /// What an alias stands for.
    alias_of: Option<&'s str>,
}

fn rows(source: &str) -> Vec<Row<'_>> {
    let (_, table) = source.split_once("rd_kafka_properties[] = {").expect("the table");
    let (table, _) = table.split_once("{0, /* End */}").expect("its end");
    let quoted = |text: &'_ str, mark: &str| -> Option<(usize, usize)> {
        let from = text.find(mark)? + mark.len();
        Some((from, from + text[from..].find('"')?))
    };
    let row = |text: &'_ str| {
        let name = quoted(text, "\"").expect("a name");
        let default = quoted(text, ".sdef = \"").filter(|_| text.contains("_RK_C_ALIAS"));
        (text.contains("_RK_GLOBAL"), name, default)
    };
    let rows = table.split("\n    {_RK_").skip(1);
    rows.map(|text| {
        // The scope is what the rows are split at.
        let (_, name, default) = row(text);
        Row {
            is_global: text.starts_with("GLOBAL"),
            name: &text[name.0..name.1],
            alias_of: default.map(|(from, to)| &text[from..to]),
        }
    })
    .collect()
}

#[test]
fn the_other_names_are_those_of_librdkafkas_own_table() {
    let source = source_of_librdkafka();
    let rows = rows(&source);
    assert!(rows.len() > 150, "{} properties", rows.len());
    // librdkafka looks among the global ones first.
    let is_hidden = |row: &Row<'_>| {
        !row.is_global && rows.iter().any(|other| other.is_global && other.name == row.name && other.alias_of.is_none())
    };
    let aliases = rows.iter().filter(|row| !is_hidden(row));
    let theirs: BTreeSet<(&str, &str)> = aliases.filter_map(|row| Some((row.name, row.alias_of?))).collect();
    assert_eq!(ALIASES.iter().copied().collect::<BTreeSet<_>>(), theirs);
    // No name is one of a topic only by what is taken off in front.
    for row in &rows {
        let is_told_apart = row.name.strip_prefix("topic.").is_none_or(|rest| rows.iter().all(|row| row.name != rest));
        assert!(is_told_apart, "{}", row.name);
    }
}

#[test]
fn librdkafka_takes_each_spelling_for_the_property() {
    let canonicals: BTreeSet<&str> = ALIASES.iter().map(|(_, canonical)| *canonical).collect();
    assert_eq!(VALUES.iter().map(|(property, _)| *property).collect::<BTreeSet<_>>(), canonicals);
    for (property, value) in VALUES {
        let told = |name: &str, value: &str| {
            let config = ClientConfig::from_iter([(name.to_owned(), value.to_owned())]).create_native_config();
            config.and_then(|config| config.get(property))
        };
        for spelling in spellings(property) {
            match told(&spelling, value) {
                // There it is one of the client and one of each topic, which goes first and is not shown.
                Ok(_) if *property == "compression.codec" && spelling.starts_with("topic.") => {}
                Ok(found) => assert_eq!(found, *value, "{spelling}"),
                // Only those of topics may begin so; and not every build knows every property.
                Err(_) => assert!(spelling.starts_with("topic.") || told(property, value).is_err(), "{spelling}"),
            }
        }
        assert_ne!(told("client.id", "a").ok().as_deref(), Some(*value), "{property} is so by itself");
    }
}

#[test]
fn a_property_of_the_promise_is_refused_in_every_spelling() {
    for (property, _) in REFUSED {
        for spelling in spellings(property) {
            for (given, files, table) in [
                (vec![(spelling.as_str(), "1")], vec![], "properties"),
                (vec![], vec![(spelling.as_str(), "/nowhere/at/all")], "property_files"),
            ] {
                let problems = problems_of(&given, &files);
                let expected = format!("kafka.{table}.{spelling}: cannot be set");
                assert!(problems.len() == 1 && problems[0].starts_with(&expected), "{spelling}: {problems:?}");
            }
        }
    }
    assert_eq!(problems_of(&[("test.mock.num.brokers", "1")], &[]).len(), 1);
}

#[test]
fn two_spellings_of_one_property_are_named() {
    let path = "/nowhere/at/all";
    for (given, files, expected) in [
        (vec![("compression.codec", "a"), ("compression.type", "a")], vec![], "kafka.properties.compression.type: is"),
        (vec![("linger.ms", "1"), ("topic.linger.ms", "1")], vec![], "kafka.properties.topic.linger.ms: is"),
        (vec![("sasl.mechanism", "a")], vec![("sasl.mechanisms", path)], "kafka.property_files.sasl.mechanisms: is"),
        (vec![("sasl.password", "a")], vec![("sasl.password", path)], "kafka.property_files.sasl.password: is"),
    ] {
        let problems = problems_of(&given, &files);
        assert!(problems.len() == 1 && problems[0].starts_with(expected), "{given:?} {files:?}: {problems:?}");
    }
}

#[test]
fn a_file_that_could_be_waited_for_without_an_end_is_named() {
    let folder = std::env::temp_dir().join(format!("chatbridge-files-{:x}", fastrand::u64(..)));
    std::fs::create_dir(&folder).expect("writable");
    let pipe = folder.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("it runs").success());
    let (pipe, folder) = (pipe.to_str().expect("UTF-8"), folder.to_str().expect("UTF-8"));
    for (name, may_be_folder) in FILES {
        for (path, is_refused) in
            [(pipe, true), ("/dev/zero", true), (folder, !may_be_folder), ("/nowhere/at/all", false)]
        {
            let problems = problems_of(&[(name, path)], &[]);
            assert_eq!(problems.len(), usize::from(is_refused), "{name} = {path}: {problems:?}");
        }
    }
    std::fs::remove_dir_all(folder).expect("ours");
}
