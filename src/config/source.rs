//! File and environment, merged by the `config` crate, read key by key until every problem is known.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use config::{ConfigError as ReadError, Environment, FileFormat, Map, Source as _, Value, ValueKind};
use serde::de::DeserializeOwned;

use super::problem::Problem;
use super::secrets::{SecretFault, is_placeholder};

const PREFIX: &str = "CHATBRIDGE__";
const INSTANCES: &str = "GREEN_API__INSTANCES__";
const KAFKA: &str = "KAFKA__";
const PROPERTIES: &str = "KAFKA__PROPERTIES__";
const PROPERTY_FILES: &str = "KAFKA__PROPERTY_FILES__";
/// After this many wrong keys the rest can wait.
const PROBLEMS_MAX: usize = 100;

/// What stands in the file at `path`, which may be missing unless it `is_required`, and in the `CHATBRIDGE__…`
/// variables of `environment`, the latter winning. What cannot be read is a problem, and left out.
pub(super) fn read<T: DeserializeOwned>(
    path: &Path,
    is_required: bool,
    environment: impl IntoIterator<Item = (String, String)>,
) -> (Option<T>, Vec<Problem>) {
    let mut variables: HashMap<String, String> =
        environment.into_iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
    let mut problems = twice_in_environment(&mut variables);
    let by_instance = take_prefixed(&mut variables, INSTANCES);
    let by_property = take_prefixed(&mut variables, PROPERTIES);
    let by_property_file = take_prefixed(&mut variables, PROPERTY_FILES);

    let merged = config::Config::builder()
        .add_source(config::File::from(path).format(FileFormat::Toml).required(is_required))
        .add_source(
            Environment::with_prefix("CHATBRIDGE").prefix_separator("__").separator("__").source(Some(variables)),
        )
        .build()
        .and_then(|merged| merged.collect());
    let mut root = match merged {
        Ok(merged) => Value::from(merged),
        Err(error) => return (None, vec![Problem::new("", unreadable(path, &error))]),
    };
    apply_instances(&mut root, by_instance, &mut problems);
    flatten_properties(&mut root, &mut problems);
    apply_properties(&mut root, "properties", by_property);
    apply_properties(&mut root, "property_files", by_property_file);

    let by_name = problems.len();
    placeholders(&root, String::new(), &mut problems);
    let text = key_by_key(root, &mut problems);
    // Tables have no order of their own, and the same problems have to be the same text each time.
    problems[by_name..].sort_by(|one, other| one.key.cmp(&other.key));
    (text, problems)
}

/// The sample's placeholders, wherever they stand.
fn placeholders(value: &Value, path: String, problems: &mut Vec<Problem>) {
    match &value.kind {
        ValueKind::String(text) if is_placeholder(text) => {
            problems.push(Problem::new(path, SecretFault::Placeholder.to_string()));
        }
        ValueKind::Table(table) => {
            for (key, value) in table {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                placeholders(value, path, problems);
            }
        }
        ValueKind::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                placeholders(value, format!("{path}[{index}]"), problems);
            }
        }
        _ => {}
    }
}

fn unreadable(path: &Path, error: &ReadError) -> String {
    // The parser's message quotes the offending line, which may hold a token; where it stands is enough.
    let text = error.to_string();
    match text.lines().next().filter(|line| line.contains("TOML parse error")) {
        Some(line) => format!("{} is not TOML: {line}", path.display()),
        None if !path.exists() => format!("{} does not exist: name the file with --config", path.display()),
        None => format!("{} cannot be read: {text}", path.display()),
    }
}

/// Variables that set the same key: chance would choose between them. Only the first of them stays.
fn twice_in_environment(variables: &mut HashMap<String, String>) -> Vec<Problem> {
    let mut names: Vec<String> = variables.keys().cloned().collect();
    names.sort();
    let mut problems = Vec::new();
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for name in names {
        // The case of a name means nothing, and in that of a property a dot is written as an underscore.
        let mut key = name.to_lowercase();
        if key.starts_with(&format!("{PREFIX}{KAFKA}").to_lowercase()) {
            key = key.replace('.', "_");
        }
        match seen.get(&key) {
            Some(first) => {
                problems.push(Problem::new(name.clone(), format!("sets the same key as {first}: keep one")));
                variables.remove(&name);
            }
            None => drop(seen.insert(key, name)),
        }
    }
    problems
}

/// Variables under `prefix`, as (rest of the name, value), in the order of their names.
fn take_prefixed(variables: &mut HashMap<String, String>, prefix: &str) -> Vec<(String, String)> {
    let prefix = format!("{PREFIX}{prefix}");
    let mut taken: Vec<_> = variables
        .extract_if(|name, _| name.starts_with(&prefix))
        .map(|(n, v)| (n[prefix.len()..].to_owned(), v))
        .collect();
    taken.sort();
    taken
}

/// `CHATBRIDGE__GREEN_API__INSTANCES__<id>__TOKEN` and the like: an instance by its id, added where the file has none.
fn apply_instances(root: &mut Value, variables: Vec<(String, String)>, problems: &mut Vec<Problem>) {
    let mut set = HashSet::new();
    for (name, value) in variables {
        let Some((id, key)) = name.split_once("__") else {
            let expected = format!("expected {PREFIX}{INSTANCES}<id>__<KEY>, such as …__1101000001__TOKEN");
            problems.push(Problem::new(format!("{PREFIX}{INSTANCES}{name}"), expected));
            continue;
        };
        let Some(green_api) = table(root, &["green_api"], true) else { continue };
        let instances = green_api.entry("instances".to_owned()).or_insert_with(|| Vec::<Value>::new().into());
        let ValueKind::Array(instances) = &mut instances.kind else { continue };
        let has_id = |instance: &mut Value| {
            let have = table(instance, &[], false).and_then(|table| table.get("id")?.clone().into_string().ok());
            have.is_some_and(|have| have == id)
        };
        let index = instances.iter_mut().position(has_id).unwrap_or(instances.len());
        if index == instances.len() {
            instances.push(Map::from_iter([("id".to_owned(), Value::from(id))]).into());
        }
        if let Some(table) = table(&mut instances[index], &[], false) {
            let key = key.to_lowercase();
            // The two are one setting in two forms; the environment's form replaces the file's.
            let other_form = match key.strip_suffix("_file") {
                Some(key) => key.to_owned(),
                None => format!("{key}_file"),
            };
            if !set.contains(&(id.to_owned(), other_form.clone())) {
                table.remove(&other_form);
            }
            table.insert(key.clone(), value.into());
            set.insert((id.to_owned(), key));
        }
    }
}

/// TOML reads `security.protocol = "SSL"` without quotes as a table in a table; what is meant is plain.
fn flatten_properties(root: &mut Value, problems: &mut Vec<Problem>) {
    for path in [&["kafka", "properties"][..], &["kafka", "property_files"], &["kafka", "create_topics", "properties"]]
    {
        let Some(table) = table(root, path, false) else { continue };
        let (mut flat, mut twice) = (Map::new(), BTreeSet::new());
        for (key, value) in std::mem::take(table) {
            flatten(key, value, &mut flat, &mut twice);
        }
        *table = flat;
        let message = "is there twice, with its dots in quotation marks and without: keep one";
        problems.extend(twice.into_iter().map(|key| Problem::new(format!("{}.{key}", path.join(".")), message)));
    }
}

fn flatten(key: String, value: Value, flat: &mut Map<String, Value>, twice: &mut BTreeSet<String>) {
    match value.kind {
        ValueKind::Table(members) => {
            for (name, value) in members {
                flatten(format!("{key}.{name}"), value, flat, twice);
            }
        }
        _ => {
            if flat.insert(key.clone(), value).is_some() {
                twice.insert(key);
            }
        }
    }
}

/// `CHATBRIDGE__KAFKA__PROPERTIES__SASL_PASSWORD`: a shell takes no dots, and no librdkafka property has underscores.
fn apply_properties(root: &mut Value, name: &str, variables: Vec<(String, String)>) {
    for (property, value) in variables {
        if let Some(table) = table(root, &["kafka", name], true) {
            table.insert(property.to_lowercase().replace('_', "."), value.into());
        }
    }
}

/// The table at this path, made where it is missing and to be made. What is no table is reported later.
fn table<'v>(value: &'v mut Value, path: &[&str], is_made: bool) -> Option<&'v mut Map<String, Value>> {
    let ValueKind::Table(table) = &mut value.kind else { return None };
    let Some((name, path)) = path.split_first() else { return Some(table) };
    if is_made {
        table.entry((*name).to_owned()).or_insert_with(|| Map::<String, Value>::new().into());
    }
    self::table(table.get_mut(*name)?, path, is_made)
}

/// Reads the tree; each key that cannot be read is reported, taken out, and the rest is read again.
fn key_by_key<T: DeserializeOwned>(mut root: Value, problems: &mut Vec<Problem>) -> Option<T> {
    while problems.len() < PROBLEMS_MAX {
        match serde_path_to_error::deserialize(root.clone()) {
            Ok(file) => return Some(file),
            Err(error) => {
                let path = error.path().clone();
                let key = path.to_string();
                problems.push(Problem::new(key.clone(), explain(error.inner())));
                if !remove(&mut root, &path) {
                    return None;
                }
            }
        }
    }
    None
}

/// What is wrong, without the value where that may be a secret.
fn explain(error: &ReadError) -> String {
    match error {
        // Never the value: somebody may have put a token where an id belongs.
        ReadError::Type { expected, unexpected, .. } => {
            let found = unexpected.to_string();
            let kind = found.split(['`', '"']).next().unwrap_or_default().trim_end();
            format!("expected {expected}, found {kind}")
        }
        ReadError::At { error, .. } => explain(error),
        ReadError::Message(message) => {
            // "unknown field `x`, expected one of `a`, `b`" says all there is; only `field` is serde's word, not ours.
            message.replace("unknown field", "unknown key").replace("unknown variant", "unknown word")
        }
        other => other.to_string(),
    }
}

fn remove(root: &mut Value, path: &serde_path_to_error::Path) -> bool {
    use serde_path_to_error::Segment;

    let segments: Vec<&Segment> = path.iter().filter(|segment| !matches!(segment, Segment::Enum { .. })).collect();
    let Some((last, parents)) = segments.split_last() else { return false };
    let mut at = root;
    for segment in parents {
        let next = match (segment, &mut at.kind) {
            (Segment::Map { key }, ValueKind::Table(table)) => table.get_mut(key),
            (Segment::Seq { index }, ValueKind::Array(items)) => items.get_mut(*index),
            _ => None,
        };
        let Some(next) = next else { return false };
        at = next;
    }
    match (last, &mut at.kind) {
        (Segment::Map { key }, ValueKind::Table(table)) => table.remove(key).is_some(),
        // Not taken out, so that later problems keep their index.
        (Segment::Seq { index }, ValueKind::Array(items)) => items.get_mut(*index).is_some_and(|item| {
            let was_table = matches!(item.kind, ValueKind::Table(_));
            item.kind = ValueKind::Table(Map::new());
            !was_table
        }),
        _ => false,
    }
}
