use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};

use jiff::SignedDuration;
use secrecy::ExposeSecret as _;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::*;
use crate::chatapp::api::Granted;

mod borrowed;

const LOGIN: &str = "email = 'me@example.com'\npassword = 'hunter2'\napp_id = 'app_1_1'\n";
const GIVEN: &str = "access_token = 'given-a'\nrefresh_token = 'given-r'\n";

fn config(lines: &str) -> ChatApp {
    let path = std::env::temp_dir().join(format!("chatbridge-tokens-{:x}.toml", fastrand::u64(..)));
    std::fs::write(&path, format!("[chatapp]\n{lines}")).expect("writable");
    let config = crate::config::load(Some(&path), []);
    std::fs::remove_file(&path).expect("ours");
    config.expect("valid").chatapp.expect("there")
}

/// What the fake says next.
#[derive(Clone)]
enum Say {
    /// A pair that lives for so many hours and days; the last member of its name is `n`.
    Grant(i64, i64),
    Fail(ApiError),
}

const DAY: Say = Say::Grant(24, 14);

fn refused() -> Say {
    Say::Fail(ApiError::Refused { status: 403, code: "ApiWrongLogin".to_owned(), fix: "look" })
}

fn away() -> Say {
    Say::Fail(ApiError::Unreachable { class: "connection", detail: "away".to_owned() })
}

/// ChatApp and a disk, on a clock of their own.
#[derive(Clone)]
struct Scene(Arc<Fake>);

struct Fake {
    began: (Timestamp, Instant),
    /// How many seconds the time of day is ahead.
    ahead: AtomicI64,
    /// What is said to refreshes and logins; nothing left: [`DAY`].
    refreshes: Mutex<VecDeque<Say>>,
    logins: Mutex<VecDeque<Say>>,
    /// What was asked, and when, in seconds.
    asked: Mutex<Vec<(String, u64)>>,
    granted: AtomicUsize,
    disk: Mutex<Option<Vec<u8>>>,
    disk_fails: AtomicBool,
}

impl Scene {
    fn new() -> Self {
        let began = (Timestamp::from_second(1_800_000_000).expect("a time"), Instant::now());
        Self(Arc::new(Fake {
            began,
            ahead: AtomicI64::new(0),
            refreshes: Mutex::default(),
            logins: Mutex::default(),
            asked: Mutex::default(),
            granted: AtomicUsize::new(0),
            disk: Mutex::default(),
            disk_fails: AtomicBool::new(false),
        }))
    }

    fn refreshes(self, says: &[Say]) -> Self {
        self.0.refreshes.lock().extend(says.iter().cloned());
        self
    }

    fn logins(self, says: &[Say]) -> Self {
        self.0.logins.lock().extend(says.iter().cloned());
        self
    }

    fn now(&self) -> Timestamp {
        self.0.began.0 + SignedDuration::try_from(self.0.began.1.elapsed()).expect("short")
    }

    fn clock(&self) -> Reading {
        let up = SignedDuration::try_from(self.0.began.1.elapsed()).expect("short");
        Reading { wall: self.now() + SignedDuration::from_secs(self.0.ahead.load(Ordering::Relaxed)), up }
    }

    /// A process that starts over what is on disk.
    fn open(&self, lines: &str) -> Tokens<Scene> {
        let clock = self.clone();
        Tokens::open(self.clone(), self.clone(), &config(lines), move || clock.clock()).expect("readable")
    }

    fn asked(&self) -> Vec<String> {
        self.0.asked.lock().iter().map(|(what, _)| what.clone()).collect()
    }

    fn disk(&self) -> String {
        let bytes = self.0.disk.lock().clone().unwrap_or_default();
        String::from_utf8(bytes).expect("UTF-8")
    }

    async fn answer(&self, what: String, says: &Mutex<VecDeque<Say>>) -> Result<Granted, ApiError> {
        let at = self.0.began.1.elapsed().as_secs();
        self.0.asked.lock().push((what, at));
        let say = says.lock().pop_front().unwrap_or(DAY);
        sleep(Duration::from_secs(1)).await;
        match say {
            Say::Fail(error) => Err(error),
            Say::Grant(hours, days) => {
                let n = self.0.granted.fetch_add(1, Ordering::Relaxed) + 1;
                Ok(Granted {
                    access: format!("a{n}").into(),
                    access_ends: Some(self.now() + SignedDuration::from_hours(hours)),
                    refresh: Some(format!("r{n}").into()),
                    refresh_ends: Some(self.now() + SignedDuration::from_hours(24 * days)),
                    cabinet_user: Some("685".to_owned()),
                })
            }
        }
    }
}

impl TokenEndpoint for Scene {
    async fn log_in(&self, login: &Login) -> Result<Granted, ApiError> {
        assert_eq!(login.app_id, "app_1_1");
        assert!(self.disk().contains("\"count\": "), "counted before it is made");
        self.answer("log in".to_owned(), &self.0.logins).await
    }

    async fn refresh(&self, refresh: &SecretString) -> Result<Granted, ApiError> {
        self.answer(format!("refresh {}", refresh.expose_secret()), &self.0.refreshes).await
    }
}

impl TokenStore for Scene {
    fn load(&self) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.disk.lock().clone())
    }

    fn store(&self, text: &str) -> io::Result<()> {
        if self.0.disk_fails.load(Ordering::Relaxed) {
            return Err(io::Error::other("no space left"));
        }
        *self.0.disk.lock() = Some(text.as_bytes().to_vec());
        Ok(())
    }

    fn place(&self) -> String {
        "the disk".to_owned()
    }
}

fn text(token: &AccessToken) -> &str {
    token.text().expose_secret()
}

fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours * 3600)
}

#[tokio::test(start_paused = true)]
async fn a_login_is_made_once_and_its_pair_serves_until_five_minutes_before_its_end_and_over_restarts() {
    let scene = Scene::new();
    let tokens = scene.open(LOGIN);
    assert_eq!(text(&tokens.access().await.expect("a token")), "a1");
    sleep(hours(23)).await;
    assert_eq!(text(&tokens.access().await.expect("a token")), "a1");
    // Another process, with another password: the account is the same.
    let tokens = scene.open(&LOGIN.replace("hunter2", "hunter3"));
    assert_eq!(text(&tokens.access().await.expect("a token")), "a1");
    assert_eq!(tokens.view().cabinet_user.as_deref(), Some("685"));
    sleep(Duration::from_secs(54 * 60)).await;
    assert_eq!(text(&tokens.access().await.expect("a token")), "a1");
    sleep(Duration::from_secs(2 * 60)).await;
    assert_eq!(text(&tokens.access().await.expect("a token")), "a2");
    assert_eq!(scene.asked(), ["log in", "refresh r1"]);
    assert!(scene.disk().contains("\"a2\""), "{}", scene.disk());
    // Another account does not live by this one's tokens.
    let tokens = scene.open(&LOGIN.replace("me@", "you@"));
    assert_eq!(text(&tokens.access().await.expect("a token")), "a3");
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_with_a_stale_token_gets_one_new_pair_between_them() {
    let scene = Scene::new();
    let tokens = scene.open(LOGIN);
    let stale = tokens.access().await.expect("a token");
    let mut asking = JoinSet::new();
    for _ in 0..5 {
        let (tokens, stale) = (tokens.clone(), stale.clone());
        asking.spawn(async move { tokens.renewed(&stale).await.expect("a token") });
    }
    for token in asking.join_all().await {
        assert_eq!(text(&token), "a2");
    }
    // And a latecomer as well.
    assert_eq!(text(&tokens.renewed(&stale).await.expect("a token")), "a2");
    assert_eq!(scene.asked(), ["log in", "refresh r1"]);
}

#[tokio::test(start_paused = true)]
async fn while_a_pair_is_renewed_ahead_of_its_end_nobody_waits() {
    let scene = Scene::new();
    let tokens = scene.open(LOGIN);
    tokens.access().await.expect("a token");
    sleep(hours(24) - Duration::from_secs(100)).await;
    let renewing = tokio::spawn({
        let tokens = tokens.clone();
        async move { tokens.access().await }
    });
    sleep(Duration::from_millis(500)).await;
    let before = Instant::now();
    assert_eq!(text(&tokens.access().await.expect("a token")), "a1");
    assert!(before.elapsed().is_zero());
    assert_eq!(text(&renewing.await.expect("no panic").expect("a token")), "a2");
}

#[tokio::test(start_paused = true)]
async fn who_asked_may_go_away_and_the_new_pair_is_stored_all_the_same() {
    let scene = Scene::new();
    let tokens = scene.open(GIVEN);
    let impatient = tokio::time::timeout(Duration::from_millis(500), tokens.access());
    impatient.await.expect_err("ChatApp takes a second");
    // Virtual time passes when every task waits.
    sleep(Duration::from_secs(2)).await;
    assert_eq!(scene.asked(), ["refresh given-r"]);
    let restarted = scene.open(GIVEN);
    assert_eq!(text(&restarted.access().await.expect("a token")), "a1");
    assert_eq!(scene.asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_pair_that_cannot_be_stored_is_not_used_and_the_old_one_is_not_lost() {
    let scene = Scene::new();
    let tokens = scene.open(LOGIN);
    let old = tokens.access().await.expect("a token");
    let before = scene.disk();
    scene.0.disk_fails.store(true, Ordering::Relaxed);
    let error = tokens.renewed(&old).await.expect_err("nowhere to put it");
    assert!(matches!(error, TokenError::NotStored { .. }) && error.to_string().contains("no space left"), "{error}");
    assert_eq!(scene.disk(), before);
    assert!(tokens.view().trouble.is_some_and(|trouble| trouble.contains("the disk")));
    // Whom the old one serves well goes on with it; who was refused it is told again, and ChatApp is left alone.
    assert_eq!(text(&tokens.access().await.expect("the old one")), "a1");
    tokens.renewed(&old).await.expect_err("still nowhere");
    sleep(hours(24) - Duration::from_secs(60)).await;
    assert_eq!(text(&tokens.access().await.expect("the old one, while it lasts")), "a1");
    assert_eq!(scene.asked(), ["log in", "refresh r1"]);
    // A crash now: the old pair is what is known.
    let restarted = scene.open(LOGIN);
    assert_eq!(text(&restarted.access().await.expect("the old one")), "a1");
    scene.0.disk_fails.store(false, Ordering::Relaxed);
    // Its pair is stored at last; a day old, it makes the next one.
    assert_eq!(text(&tokens.renewed(&old).await.expect("a new one")), "a4");
    assert_eq!(scene.asked()[2..], ["refresh r1", "refresh r2"], "the first of them by the process that crashed");
    assert!(scene.disk().contains("\"r4\""));
    assert_eq!(tokens.view().trouble, None);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_token_that_is_refused_or_ended_leads_to_a_login() {
    let scene = Scene::new().refreshes(&[Say::Fail(ApiError::InvalidToken)]).logins(&[Say::Grant(24, 2)]);
    let tokens = scene.open(&format!("{LOGIN}refresh_token = 'given-r'\n"));
    assert_eq!(text(&tokens.access().await.expect("a token")), "a1");
    assert_eq!(scene.asked(), ["refresh given-r", "log in"]);
    sleep(hours(3 * 24)).await;
    assert_eq!(text(&tokens.access().await.expect("a token")), "a2");
    assert_eq!(scene.asked()[2..], ["log in"], "both have ended");
}

#[tokio::test(start_paused = true)]
async fn without_a_login_a_refused_refresh_token_says_what_to_do_and_is_tried_now_and_then() {
    let scene = Scene::new().refreshes(&[Say::Fail(ApiError::InvalidToken), refused()]);
    let tokens = scene.open("refresh_token = 'given-r'\n");
    for _ in 0..2 {
        let error = tokens.access().await.expect_err("no token");
        let TokenError::Waiting { wait, why } = &error else { panic!("{error:?}") };
        assert!(*wait <= REFUSED_MAX, "{wait:?}");
        assert!(why.contains("chatapp.email") && why.contains("chatapp.refresh_token"), "{why}");
        let again = tokens.access().await.expect_err("no token");
        assert_eq!(again, error, "nothing was asked");
        sleep(Duration::from_secs(15 * 60)).await;
    }
    assert_eq!(scene.asked().len(), 2);
    assert_eq!(text(&tokens.access().await.expect("ChatApp thought better of it")), "a1");
}

#[tokio::test(start_paused = true)]
async fn where_nothing_can_be_tried_somebody_has_to_act() {
    let scene = Scene::new().refreshes(&[Say::Grant(1, 0)]);
    let tokens = scene.open(GIVEN);
    tokens.access().await.expect("a token, about to end");
    sleep(hours(2)).await;
    let error = tokens.access().await.expect_err("both have ended");
    let TokenError::NeedsOperator(why) = &error else { panic!("{error:?}") };
    assert!(why.contains("chatapp.email") && why.contains("chatapp.refresh_token"), "{why}");
    assert_eq!(scene.asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn logins_keep_their_distance_over_restarts_and_say_what_is_wrong() {
    let scene = Scene::new().logins(&vec![refused(); 12]);
    let mut tokens = scene.open(LOGIN);
    let mut told = None;
    // Somebody asks every five seconds for three hours, and the process starts anew every seven minutes.
    for second in (0..3 * 3600).step_by(5) {
        match tokens.access().await {
            Ok(token) => assert_eq!(text(&token), "a1"),
            Err(TokenError::Waiting { why, .. }) => told = told.or(Some(why)),
            Err(other) => panic!("{other:?}"),
        }
        if second % 420 == 415 {
            tokens = scene.open(LOGIN);
        }
        sleep(Duration::from_secs(5)).await;
    }
    let at: Vec<u64> = scene.0.asked.lock().iter().map(|(_, at)| at / 60).collect();
    assert!(at.len() <= 13 && at.windows(2).skip(4).all(|two| two[1] - two[0] >= 15), "{at:?}");
    assert_eq!(at[..4], [0, 1, 3, 7], "{at:?}");
    let told = told.expect("a reason");
    assert!(told.contains("ApiWrongLogin") && told.contains("check chatapp.email"), "{told}");
    assert!(!told.contains("hunter2") && !told.contains("me@example.com"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn while_chatapp_is_away_nobody_logs_in_and_the_present_token_serves() {
    let scene = Scene::new().refreshes(&vec![away(); 30]);
    let tokens = scene.open(LOGIN);
    tokens.access().await.expect("a token");
    sleep(hours(24) - Duration::from_secs(200)).await;
    for _ in 0..15 {
        assert_eq!(text(&tokens.access().await.expect("the old one")), "a1");
        sleep(Duration::from_secs(10)).await;
    }
    sleep(Duration::from_secs(60)).await;
    let error = tokens.access().await.expect_err("it has ended");
    assert!(matches!(&error, TokenError::Waiting { why, .. } if why.contains("away")), "{error:?}");
    let asked = scene.asked();
    assert_eq!(asked.iter().filter(|what| *what == "log in").count(), 1, "{asked:?}");
    assert!(asked.len() < 17, "and not all the time: {asked:?}");
    scene.0.refreshes.lock().clear();
    sleep(Duration::from_secs(61)).await;
    assert_eq!(text(&tokens.access().await.expect("a token")), "a2");
}

#[tokio::test(start_paused = true)]
async fn kept_up_a_pair_outlives_weeks_in_which_nobody_asks() {
    let scene = Scene::new();
    let tokens = scene.open(GIVEN);
    let keeping = tokio::spawn({
        let tokens = tokens.clone();
        async move { tokens.keep_up().await }
    });
    sleep(hours(24 * 30)).await;
    keeping.abort();
    let asked = scene.asked().len();
    assert!((30..=32).contains(&asked), "{asked}");
    let pair = scene.open(GIVEN);
    assert_eq!(text(&pair.access().await.expect("a token")), format!("a{asked}"));
}

#[tokio::test(start_paused = true)]
async fn what_lies_there_and_is_no_file_of_tokens_counts_as_none() {
    for bytes in [&b""[..], b"{", b"\xff\xfe", b"{\"version\":9}"] {
        let scene = Scene::new();
        *scene.0.disk.lock() = Some(bytes.to_vec());
        assert_eq!(text(&scene.open(LOGIN).access().await.expect("a token")), "a1");
        assert_eq!(scene.asked(), ["log in"]);
    }
}

#[tokio::test(start_paused = true)]
async fn by_a_clock_that_is_days_ahead_tokens_are_used_and_not_renewed_at_each_question() {
    let scene = Scene::new().refreshes(&[Say::Grant(-48, -2), Say::Grant(0, 0), Say::Grant(-48, -2)]);
    let tokens = scene.open(GIVEN);
    for n in ["a1", "a2", "a3"] {
        for _ in 0..10 {
            assert_eq!(text(&tokens.access().await.expect("a token")), n);
            sleep(Duration::from_secs(31)).await;
        }
    }
    assert_eq!(scene.asked(), ["refresh given-r", "refresh r1", "refresh r2"]);
}

#[tokio::test(start_paused = true)]
async fn a_pair_that_chatapp_refuses_at_once_is_not_made_for_ever() {
    let scene = Scene::new().refreshes(&vec![Say::Fail(ApiError::InvalidToken); 1000]);
    let tokens = scene.open(LOGIN);
    let mut token = tokens.access().await.expect("a token");
    for _ in 0..1000 {
        if let Ok(other) = tokens.renewed(&token).await {
            token = other;
        }
        sleep(Duration::from_secs(10)).await;
    }
    let logins = scene.asked().iter().filter(|what| *what == "log in").count();
    assert!(logins < 17, "{logins} logins in three hours");
}

/// Asks every second until there is a token; how long that took.
async fn until_there_is_one(tokens: &Tokens<Scene>) -> Duration {
    let begun = Instant::now();
    while tokens.access().await.is_err() {
        sleep(Duration::from_secs(1)).await;
    }
    begun.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_login_that_got_no_answer_takes_nothing_from_the_day_and_is_tried_again_soon() {
    for say in [away(), Say::Fail(ApiError::RateLimited { retry_after: None })] {
        let scene = Scene::new().logins(&vec![say; 1000]);
        let tokens = scene.open(LOGIN);
        let until_well = tokio::time::timeout(Duration::from_secs(31 * 60), until_there_is_one(&tokens));
        until_well.await.expect_err("it is away");
        let tries = scene.asked().len();
        assert!((10..120).contains(&tries), "{tries} tries in half an hour");
        scene.0.logins.lock().clear();
        let dark = until_there_is_one(&tokens).await;
        assert!(dark <= LOGIN_AWAY_MAX + Duration::from_secs(3), "{dark:?} after ChatApp was well");
        assert!(scene.disk().contains("\"count\": 1"), "{}", scene.disk());
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_while_a_login_is_under_way_leaves_it_counted() {
    let scene = Scene::new().logins(&[away()]);
    let tokens = scene.open(LOGIN);
    let asking = tokio::spawn(async move { tokens.access().await });
    while scene.asked().is_empty() {
        sleep(Duration::from_millis(10)).await;
    }
    assert!(scene.disk().contains("\"count\": 1"));
    let error = scene.open(LOGIN).access().await.expect_err("a minute");
    assert!(matches!(error, TokenError::Waiting { wait, .. } if wait > Duration::from_secs(50)), "{error:?}");
    drop(asking.await);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_token_that_was_refused_for_a_moment_is_tried_again_soon() {
    let scene = Scene::new().refreshes(&vec![Say::Fail(ApiError::InvalidToken); 1000]);
    let tokens = scene.open("refresh_token = 'given-r'\n");
    sleep(Duration::from_secs(1)).await;
    let until_well = tokio::time::timeout(Duration::from_secs(60), until_there_is_one(&tokens));
    until_well.await.expect_err("it is refused");
    scene.0.refreshes.lock().clear();
    let dark = until_there_is_one(&tokens).await;
    assert!(dark <= Duration::from_secs(130), "{dark:?} after ChatApp was well");
}

#[tokio::test(start_paused = true)]
async fn no_pause_is_longer_by_a_time_of_day_that_is_set() {
    for ahead in [-1_000_000, 1_000_000] {
        let scene = Scene::new().refreshes(&[away(), Say::Fail(ApiError::InvalidToken)]);
        let tokens = scene.open("refresh_token = 'given-r'\n");
        for _ in 0..2 {
            // A pause begins, and then the time of day is set.
            let error = tokens.access().await.expect_err("no token");
            let TokenError::Waiting { wait, .. } = error else { panic!("{error:?}") };
            scene.0.ahead.fetch_add(ahead, Ordering::Relaxed);
            sleep(wait).await;
        }
        assert_eq!(text(&tokens.access().await.expect("a token")), "a1", "{ahead}");
    }
}
