//! The configuration reference for people: the same keys, defaults and sentences as the JSON Schema.

use serde_json::Value;

/// One key of the configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigKey {
    /// Its path through the file: `kafka.topic`, `green_api.instances[].id`, `routing.<kind>`.
    pub path: String,
    /// The environment variable that sets it instead.
    pub variable: String,
    /// What it takes, in words.
    pub takes: &'static str,
    /// What applies when the key is absent, as TOML writes it.
    pub default: Option<String>,
    /// The smallest and the largest number it takes.
    pub range: Option<(u64, u64)>,
    /// The words it takes, each with its meaning, if there is a fixed list of them.
    pub words: Vec<(String, String)>,
    /// What it does.
    pub sentence: String,
}

/// Every key of a configuration with this schema, table by table.
#[must_use]
pub fn config_keys(schema: &Value) -> Vec<ConfigKey> {
    let mut keys = Vec::new();
    table(schema, schema, "", "CHATBRIDGE", &mut keys);
    keys
}

/// The reference, in Markdown.
#[must_use]
pub fn config_reference(schema: &Value) -> String {
    let mut text = String::from(
        "# Configuration\n\n\
         Every key, in the order of the alphabet: what it does, what it takes, its default, and the environment variable \
         that sets it instead. [config.toml](../config.toml) shows the same keys as a file to start from; `chatbridge \
         check` names everything that is wrong with one.\n\n\
         <!-- written by `chatbridge schema config-reference` -->\n",
    );
    let mut current = None;
    for key in config_keys(schema) {
        let (table, _) = key.path.rsplit_once('.').unwrap_or(("", &key.path));
        if current.as_deref() != Some(table) {
            text.push_str(&match (table, table.strip_suffix("[]")) {
                ("", _) => "\n## Top level\n".to_owned(),
                (_, Some(list)) => format!("\n## `[[{list}]]`\n"),
                (table, None) => format!("\n## `[{table}]`\n"),
            });
            current = Some(table.to_owned());
        }
        text.push_str(&entry(&key));
    }
    text
}

fn entry(key: &ConfigKey) -> String {
    let mut takes = key.takes.to_owned();
    if let Some((min, max)) = key.range {
        takes.push_str(&format!(" from {min} to {max}"));
    }
    if let Some(default) = &key.default {
        takes.push_str(&format!(", by default `{default}`"));
    }
    let mut text = format!("\n### `{}`\n\n{}\n\n{takes} · `{}`\n", key.path, key.sentence, key.variable);
    for (index, (word, meaning)) in key.words.iter().enumerate() {
        text.push_str(&format!("{}- `\"{word}\"`: {meaning}\n", if index == 0 { "\n" } else { "" }));
    }
    text
}

/// The keys of a table, followed by those of the tables in it.
fn table(root: &Value, table_schema: &Value, path: &str, variable: &str, keys: &mut Vec<ConfigKey>) {
    let mut tables = Vec::new();
    for (name, property) in table_schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let variable = format!("{variable}__{}", name.to_uppercase());
        let target = resolved(root, property);
        let items = resolved(root, &target["items"]);
        if target["properties"].is_object() {
            tables.push((target, path, variable));
        } else if items["properties"].is_object() {
            tables.push((items, format!("{path}[]"), format!("{variable}__<id>")));
        } else {
            keys.push(key(property, target, path, variable));
        }
    }
    for (target, path, variable) in tables {
        table(root, target, &path, &variable, keys);
    }
}

fn key(property: &Value, target: &Value, path: String, variable: String) -> ConfigKey {
    let is_map = target["additionalProperties"].is_object();
    let words: Vec<(String, String)> = target["oneOf"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|word| Some((word["const"].as_str()?.to_owned(), sentence(word))))
        .collect();
    let takes = match target["type"].as_str() {
        _ if !words.is_empty() => "One of the words below",
        Some("boolean") => "`true` or `false`",
        Some("integer") => "A whole number",
        Some("array") => "A list of texts (in the environment: one text with commas)",
        Some("object") => "A table: names of your choice, each with a text",
        _ => "A text",
    };
    // A table that is empty by default is simply absent.
    let default = Some(&property["default"]).filter(|default| !default.is_null() && !is_map);
    ConfigKey {
        path,
        variable: if is_map { format!("{variable}__<NAME>") } else { variable },
        takes,
        default: default.map(Value::to_string),
        range: target["minimum"].as_u64().zip(target["maximum"].as_u64()),
        words,
        sentence: sentence(property),
    }
}

fn sentence(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().replace('\n', " ")
}

fn resolved<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    let target = schema["$ref"].as_str().and_then(|target| root.pointer(target.trim_start_matches('#')));
    target.unwrap_or(schema)
}
