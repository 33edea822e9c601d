use super::*;

#[test]
fn nothing_is_told_by_default() {
    let tracing = load(SMALLEST, &[]).expect("valid").tracing;
    assert!(!tracing.traceparent && tracing.otlp.is_none(), "{tracing:?}");
}

#[test]
fn a_collector_with_its_headers_is_read_and_its_secrets_do_not_print() {
    let text = "[tracing]\notlp_endpoint = 'https://otlp.example.org/otlp'\notlp_export_interval_ms = 250\n\
                [tracing.otlp_headers]\nAuthorization = 'Bearer hunter2'\nX-Scope-OrgID = '7'\n";
    let tracing = load(&format!("{text}{SMALLEST}"), &[]).expect("valid").tracing;
    assert!(!format!("{tracing:?}").contains("hunter2"));
    let otlp = tracing.otlp.expect("an endpoint");
    assert_eq!(otlp.endpoint.as_str(), "https://otlp.example.org/otlp");
    assert_eq!(otlp.export_interval, Duration::from_millis(250));
    assert_eq!(otlp.headers["authorization"].expose_secret(), "Bearer hunter2");
    assert_eq!(otlp.headers["x-scope-orgid"].expose_secret(), "7");
}

#[test]
fn what_cannot_work_is_said_with_what_would() {
    for (lines, key, advice) in [
        ("otlp_endpoint = 'localhost:4318'", "otlp_endpoint", "http://localhost:4318"),
        ("otlp_endpoint = 'http://u:p@localhost:4318'", "otlp_endpoint", "without user or password"),
        ("otlp_endpoint = 'http://localhost:4318/v1/traces'", "otlp_endpoint", "leave out /v1/traces"),
        ("otlp_endpoint = 'http://localhost:4317'", "otlp_endpoint", "usually port 4318"),
        ("otlp_headers.a = 'b'", "otlp_endpoint", "is missing"),
        ("otlp_endpoint = 'http://a'\notlp_headers.'a b' = 'c'", "otlp_headers.a b", "not the name"),
        ("otlp_endpoint = 'http://a'\notlp_headers.Host = 'c'", "otlp_headers.Host", "not the name"),
        ("otlp_endpoint = 'http://a'\notlp_headers.a = ''", "otlp_headers.a", "is empty"),
        ("otlp_endpoint = 'http://a'\notlp_headers.a = 'ü'", "otlp_headers.a", "characters that no header"),
        ("otlp_endpoint = 'http://a'\notlp_header_files.a = '/nowhere/a'", "otlp_header_files.a", "cannot be read"),
    ] {
        let told = problem(&format!("[tracing]\n{lines}\n{SMALLEST}"));
        assert!(told.starts_with(&format!("tracing.{key}: ")) && told.contains(advice), "{lines}: {told}");
    }
}
