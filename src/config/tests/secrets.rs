use super::*;

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

/// Every key that takes a secret: in the file, in a file of its own, in the environment.
#[test]
fn every_secret_is_read_alike() {
    const BEFORE: &str = "[webhook]\n[[green_api.instances]]\nid = 7\ntoken = 'abc'\n";
    const CHATAPP: &str = "[webhook]\n[chatapp]\nemail = 'a@b'\napp_id = 'i'\n";
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
        let told = |text: &str, by_environment: bool| {
            let quoted = serde_json::Value::from(text);
            let file = Written::new(text);
            let told = |lines: String, environment: &[(&str, &str)]| {
                let loaded = load(&format!("{before}{section}\n{lines}\n"), environment);
                loaded.err().map_or(Vec::new(), |error| error.problems).iter().map(ToString::to_string).collect()
            };
            let given: Vec<String> = match by_environment {
                true => told(String::new(), &[(&variable, text)]),
                false => told(format!("{key} = {quoted}"), &[]),
            };
            [given, told(format!("{file_key} = {:?}", file.0), &[])]
        };
        for (text, expected) in FAULTS {
            let text = text.replace("secret", secret);
            for by_environment in [false, true] {
                // TOML takes no NUL, and to a librdkafka property no text is its default.
                if text.contains('\0') || (text.is_empty() && key.starts_with("properties")) {
                    continue;
                }
                for found in told(&text, by_environment) {
                    assert_eq!(found.len(), 1, "{key} = {text:?}: {found:?}");
                    assert!(found[0].contains(expected) && !found[0].contains(secret), "{key} = {text:?}: {found:?}");
                }
            }
        }
        for by_environment in [false, true] {
            assert_eq!(told(&format!(" {secret}\n"), by_environment), [Vec::<String>::new(), Vec::new()], "{key}");
        }
    }
}
