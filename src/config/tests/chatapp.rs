use super::*;

const LOGIN: &str = "[chatapp]\nemail = \"me@example.com\"\npassword = \"hunter2\"\napp_id = \"app_1_1\"\n";

#[test]
fn a_login_or_a_refresh_token_is_enough_and_no_instance_is_needed() {
    let chatapp = load(LOGIN, &[]).expect("valid").chatapp.expect("there");
    let login = chatapp.login.expect("a login");
    assert_eq!((login.password.expose_secret(), &*login.app_id), ("hunter2", "app_1_1"));
    assert_eq!(chatapp.api_url.as_str(), "https://api.chatapp.online/");
    assert_eq!(chatapp.socket_url.as_str(), "wss://socket.chatapp.online:6001/");
    assert_eq!(chatapp.reconcile_interval, Some(Duration::from_secs(900)));
    assert!(chatapp.channels.is_empty() && chatapp.callback_secret.is_none());

    let token = Written::new("$2y$10$a.b/c\n");
    let text = format!("[chatapp]\nrefresh_token_file = {:?}\nreconcile_seconds = 0\n", token.0);
    let chatapp = load(&text, &[]).expect("valid").chatapp.expect("there");
    assert_eq!(chatapp.refresh_token.expect("a token").expose_secret(), "$2y$10$a.b/c");
    assert!(chatapp.login.is_none() && chatapp.reconcile_interval.is_none());

    let environment =
        [("CHATBRIDGE__CHATAPP__REFRESH_TOKEN", "77"), ("CHATBRIDGE__CHATAPP__CHANNELS", "private-a, private-b")];
    let chatapp = load("", &environment).expect("valid").chatapp.expect("there");
    assert_eq!(chatapp.refresh_token.expect("a token").expose_secret(), "77");
    assert_eq!(chatapp.channels, ["private-a", "private-b"]);

    assert!(problems("")[0].starts_with("green_api.instances: name at least one"));
    assert!(load(SMALLEST, &[]).expect("valid").chatapp.is_none());
}

#[test]
fn each_thing_that_is_wrong_with_chatapp_is_named_by_its_key_and_no_secret_is_told() {
    for (lines, expected) in [
        ("", "email: is missing"),
        ("access_token = 'hunter2'", "email: is missing"),
        ("email = 'me@example.com'\napp_id = 'a'", "password: is missing (or password_file)"),
        ("email = 'me@example.com'\npassword = 'hunter2'", "app_id: is missing"),
        ("password = 'hunter2'\napp_id = 'a'", "email: is missing"),
        ("email = 'hunter2'\npassword = 'x'\napp_id = 'a'", "email: is not"),
        ("email = 'm@e'\npassword = 'x'\napp_id = ' '", "app_id: is empty"),
        ("email = ['hunter2']\nrefresh_token = 'x'", "email: expected"),
        ("refresh_token = ''", "refresh_token: is empty"),
        ("refresh_token = 'hunter2 hunter2'", "refresh_token: holds"),
        ("refresh_token = 'x'\naccess_token = 'hunter2 hunter2'", "access_token: holds"),
        ("refresh_token = 'hunter2'\nrefresh_token_file = '/x'", "refresh_token_file: refresh_token is given"),
        ("refresh_token_file = '/nowhere/at/all'", "refresh_token_file: /nowhere"),
        ("refresh_token = 'x'\napi_url = 'wss://api'", "api_url: expected"),
        ("refresh_token = 'x'\nsocket_url = 'https://socket'", "socket_url: expected"),
        ("refresh_token = 'x'\nsocket_url = 'wss://me:hunter2@socket'", "socket_url: expected"),
        ("refresh_token = 'x'\nsocket_url = 'wss://socket?key=hunter2'", "socket_url: expected"),
        ("refresh_token = 'x'\napp_key = 'a/b'", "app_key: ChatApp's"),
        ("refresh_token = 'x'\nlang = ''", "lang: expected"),
        ("refresh_token = 'x'\nstate_dir = ''", "state_dir: name"),
        ("refresh_token = 'x'\nseal_key_file = '/nowhere/at/all'", "seal_key_file: /nowhere"),
        ("refresh_token = 'x'\nseal_key_file = '/proc/sys/kernel/ostype'", "seal_key_file: expected a key of 64"),
        ("refresh_token = 'x'\nchannels = ['private-a', 'v1.users.1']", "channels[1]: expected"),
        ("refresh_token = 'x'\nchannels = ['private-']", "channels[0]: expected"),
        ("refresh_token = 'x'\nchannels = ['private-a b']", "channels[0]: expected"),
        ("refresh_token = 'x'\nchannels = ['private-a', 'private-a']", "channels[1]: is there twice"),
        ("refresh_token = 'x'\ncallback_secret = 'hunter2'", "callback_secret: expected"),
        ("refresh_token = 'x'\ncallback_secret = 'hunter2/hunter2/hunter2'", "callback_secret: expected"),
        ("refresh_token = 'x'\ncallback_secret = 'hunter2hunter2hunter2'", "callback_secret: needs"),
    ] {
        let told = problem(&format!("[chatapp]\n{lines}\n"));
        assert!(told.starts_with(&format!("chatapp.{expected}")), "{lines}: {told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
    let shown = format!("{:?}", load(LOGIN, &[]).expect("valid"));
    assert!(!shown.contains("hunter2") && !shown.contains("me@example.com"), "{shown}");
}

#[test]
fn everything_wrong_with_chatapp_is_told_at_once() {
    let text = "[chatapp]\napi_url = 'x'\nsocket_url = 'x'\nlang = ''\nemail = 'm@e'\nchannels = ['x']\n\
                requests_per_second_max = 0\nresponse_bytes_max = 1\ncallback_secret = 'x'\n";
    let problems = problems(text);
    assert_eq!(problems.len(), 9, "{problems:#?}");
}

/// The section is commented out in the sample; what stands there is its defaults all the same.
#[test]
fn the_sample_of_chatapp_shows_its_defaults() {
    let not_by_default =
        ["email", "password", "app_id", "access_token", "refresh_token", "seal_key", "callback_secret"];
    let keys = commented_out("[chatapp]", &not_by_default);
    assert_eq!(keys.len(), 13, "{keys:?}");
    let loaded = |more: &str| load(&format!("{LOGIN}{more}"), &[]).expect("valid").chatapp;
    assert_eq!(format!("{:?}", loaded(&keys.join("\n"))), format!("{:?}", loaded("")));
}
