use super::*;
use proptest::prelude::*;

fn canonical(text: &str) -> String {
    let mut out = Vec::new();
    Json::parse(text).expect("test text is JSON").write_canonical(&mut out);
    String::from_utf8(out).expect("canonical JSON is UTF-8")
}

#[test]
fn canonical_form_follows_rfc_8785() {
    for (text, expected) in [
        (r#" { "b" : 1 , "a" : [ true , null ] } "#, r#"{"a":[true,null],"b":1}"#),
        (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
        ("[1.0, 1e2, 1E-7, -0, -0.0, 4.50, 333333333.33333329]", "[1,100,1e-7,0,0,4.5,333333333.3333333]"),
        // Whole numbers keep every digit: see write_canonical.
        ("[115700000000000001, 115700000000000002]", "[115700000000000001,115700000000000002]"),
        ("[1e999]", "[1e999]"),
        (r#""\u20ac\u000F\u000aA'\u0042\u0022\u005c\\\"\/""#, r#""€\u000f\nA'B\"\\\\\"/""#),
        // UTF-16 order: U+1F600 (d83d…) before U+FB33, though its code point is higher.
        (r#"{"\ufb33":1,"\ud83d\ude00":2,"\u00f6":3}"#, "{\"ö\":3,\"😀\":2,\"\u{fb33}\":1}"),
        (r#""lone \ud83d, low \ude00, pair \ud83d\ude00""#, "\"lone \u{fffd}, low \u{fffd}, pair 😀\""),
    ] {
        assert_eq!(canonical(text), expected, "{text}");
    }
}

#[test]
fn scalars_are_read_in_each_form_upstream_uses() {
    let json = Json::parse(r#"{"n":"42","i":42,"f":42.0,"b":"yes","t":true,"e":"","z":null}"#).expect("JSON");
    for key in ["n", "i", "f"] {
        assert_eq!(json.get(key).integer(), Some(42), "{key}");
    }
    assert_eq!(json.get("b").boolean(), Some(true));
    assert_eq!(json.get("t").boolean(), Some(true));
    assert_eq!(json.get("e").text(), Some(""));
    assert_eq!(json.get("e").words(), None);
    assert_eq!(json.get("n").number(), Some(42.0));
    assert_eq!(Json::String("NaN".into()).number(), None);
    assert_eq!(Json::Number("1e999").number(), None);
    assert!(json.get("n").items().is_empty());
    assert!(json.get("z").is_null() && json.get("absent").get("deeper").is_null());
}

#[test]
fn nesting_without_end_stays_text() {
    let deep = format!("{}1{}", "[ ".repeat(10_000), "]".repeat(10_000));
    assert_eq!(canonical(&deep), deep.replace(' ', ""));
}

#[test]
fn long_members_are_removed_at_every_depth() {
    let mut json = Json::parse(r#"{"t":"long","a":[{"t":"long","k":1},{"t":"s"}]}"#).expect("JSON");
    assert!(json.remove_long("t", 2));
    let mut out = Vec::new();
    json.write_canonical(&mut out);
    assert_eq!(out, br#"{"a":[{"k":1},{"t":"s"}]}"#);
    assert!(!json.remove_long("t", 2));
}

fn any_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_filter("JSON has no infinities", |f| f.is_finite()).prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::hash_map(any::<String>(), inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn canonical_form_means_the_same_and_ignores_spelling(value in any_value()) {
        let compact = canonical(&value.to_string());
        let pretty = canonical(&serde_json::to_string_pretty(&value).expect("serialisable"));
        prop_assert_eq!(&compact, &pretty);
        prop_assert_eq!(&canonical(&compact), &compact);
        prop_assert!(serde_json::from_str::<serde_json::Value>(&compact).is_ok());
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC*") {
        let _ = Json::parse(&text);
    }

    #[test]
    fn nothing_made_of_json_pieces_makes_it_panic(
        pieces in prop::collection::vec(
            prop::sample::select(vec!["{", "}", "[", "]", "\"", "\\", "\\u", "d83d", ":", ",", "1", "-", "e", "null", "tru", " ", "é"]), 0..40)
    ) {
        let _ = Json::parse(&pieces.concat());
    }
}

/// The items of an array, as text.
fn items(text: &str) -> Option<Vec<&str>> {
    let mut items = Items::of(text)?;
    let found: Vec<&str> = std::iter::from_fn(|| items.next(text)).map(|at| &text[at]).collect();
    assert_eq!(Items::of(text).map(|items| items.count(text)), Some(found.len()));
    Some(found)
}

#[test]
fn a_container_is_taken_apart_without_touching_what_is_in_it() {
    let text = r#" { "a" : [1, {"a":"]"} ] ,"\u0061":"x\"}" , "b":1e999,"":null } "#;
    let (found, count) = members(text, ["b", "a", "c", ""]).expect("an object");
    let shown = found.map(|at| at.map(|at| &text[at]));
    assert_eq!(shown, [Some("1e999"), Some(r#""x\"}""#), None, Some("null")], "keys may repeat");
    assert_eq!(count, 4);
    let text = r#" [ 1 ,"a,]", [ [] ],{ } ] "#;
    assert_eq!(items(text).expect("an array"), ["1", r#""a,]""#, "[ [] ]", "{ }"]);
    assert_eq!((members(" { } ", ["a"]), items("[ ]")), (Some(([None], 0)), Some(Vec::new())));
    assert_eq!((members("[]", ["a"]), items("{}")), (None, None));
    assert_eq!((members("1", ["a"]), items("\"[\"")), (None, None));
    let deep = format!("[{}{}]", "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(items(&deep).map(|items| items.len()), Some(1));
}

#[test]
fn a_container_with_too_many_values_stays_text_and_what_is_beside_it_is_read() {
    let many = format!("[{}]", vec!["{\"\":0}"; VALUES_MAX].join(","));
    let text = format!(r#"{{"before":1,"many":{many},"pairs":[{many},{many}],"after":{{"x":[2]}}}}"#);
    let json = Json::parse(&text).expect("JSON");
    assert_eq!((json.get("before").integer(), json.get("many")), (Some(1), &Json::Opaque(&many)));
    assert_eq!(json.get("pairs").items(), [Json::Opaque(&many), Json::Opaque(&many)]);
    assert_eq!(json.get("after").get("x").items()[0].integer(), Some(2));
    assert!(json.has_opaque() && !json.get("after").has_opaque());
    // The document itself is such a container.
    assert_eq!(Json::parse(&many), Some(Json::Opaque(&many)));
    assert_eq!(canonical(&format!(" {} ", many.replace(',', " , "))), many);
    let flat = |values: usize| format!("[{}]", vec!["0"; values].join(","));
    assert_eq!(Json::parse(&flat(VALUES_MAX)).map(|json| json.items().len()), Some(VALUES_MAX));
    assert!(Json::parse(&flat(VALUES_MAX + 1)).is_some_and(|json| json.has_opaque()));
}
