//! The client of ChatApp's REST API: tokens, licences and companies, chats and messages, and the authorisation of
//! Pusher channels.
//!
//! It asks once and says what the answer means. Waiting, renewing tokens and asking again is up to the caller. All
//! requests share one `pace`, because ChatApp counts them by address. Errors never hold a token, a phone number or a
//! text: of an error answer only its code is repeated, of a failed request only what the network said.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, Response};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use serde_json::value::RawValue;
use url::Url;

use crate::config::{self, Login};
use crate::http;
use crate::http::content_coding::{self, Coding, FIRST_BYTES, ReadError};
use crate::redact::Redactor;
use chatbridge_pusher::Auth;

pub(crate) mod answer;
mod pace;

pub use answer::{CallbackUrl, ChatSummary, Granted, License, Moved, Next, Page};
use pace::{Pace, Urgency};

/// Items per page: the most that ChatApp gives.
pub const PAGE_ITEMS_MAX: usize = 100;
/// The part of a request's time that connecting may take.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(10);
/// The most pages of a list of licences, companies or callback URLs.
const LIST_PAGES_MAX: usize = 100;
const REFRESH: HeaderName = HeaderName::from_static("refresh");
const LANG: HeaderName = HeaderName::from_static("lang");

/// Why ChatApp did not do what it was asked. The variants differ in what comes next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// Renew the token, then ask again.
    #[error("ChatApp does not take the token (any more)")]
    InvalidToken,
    /// Ask again, but later.
    #[error("ChatApp was asked too often")]
    RateLimited {
        /// How long ChatApp asks us to wait, if it says so.
        retry_after: Option<Duration>,
    },
    /// Ask again soon: ChatApp cannot be reached, is busy, or something in between answers for it.
    #[error("{detail}")]
    Unreachable {
        /// The class of the failure: `connection`, `timeout`, `server_error`, `not_json`, `unexpected`.
        class: &'static str,
        /// What happened.
        detail: String,
    },
    /// Asking again is of no use until somebody has acted.
    #[error("ChatApp refuses: {}: {fix}", refusal(*.status, .code))]
    Refused {
        /// The HTTP status; 0 if no request was sent.
        status: u16,
        /// ChatApp's own error code, or empty.
        code: String,
        /// What to do.
        fix: &'static str,
    },
}

/// Where to start in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start<'p> {
    /// At its beginning: for chats the one with the latest activity, for messages the first at or after this time.
    At(Option<Timestamp>),
    /// Where the previous page ended.
    Cursor(&'p str),
}

/// A licence and one of its messengers. A channel carries the events of one line.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Line {
    /// `licenseId`.
    pub license: String,
    /// The messenger's type, spelt as ChatApp does.
    pub messenger: String,
}

/// Makes the HTTP client. `direct` ignores any proxy that the environment names, for a simulator in the same process.
///
/// # Errors
/// If the TLS backend cannot be set up: no usable root certificates.
pub fn http_client(config: &config::ChatApp, direct: bool) -> Result<Client, reqwest::Error> {
    http::client(direct)
        .timeout(config.request_timeout)
        .connect_timeout(config.request_timeout.min(CONNECT_TIMEOUT_MAX))
        .tcp_keepalive(Duration::from_secs(30))
        .tcp_nodelay(true)
        .build()
}

/// ChatApp's API. One per process, because all requests share its pace.
pub struct Api {
    http: Client,
    url: Url,
    lang: HeaderValue,
    bytes_max: usize,
    pace: Pace,
    redactor: Redactor,
}

impl Api {
    /// The API of `config`, called through `http`. Error texts hold nothing that `redactor` knows; it learns each token
    /// that is used.
    #[must_use]
    pub fn new(http: Client, config: &config::ChatApp, redactor: Redactor) -> Self {
        Self {
            http,
            url: config.api_url.clone(),
            lang: HeaderValue::from_str(&config.lang).unwrap_or(HeaderValue::from_static("en")),
            bytes_max: config.response_bytes_max,
            pace: Pace::new(config.requests_per_second_max),
            redactor,
        }
    }

    /// A new pair of tokens for a login (`v1.tokens.make`). May be asked 100 times a day.
    ///
    /// # Errors
    /// [`ApiError`]
    pub async fn log_in(&self, login: &Login) -> Result<Granted, ApiError> {
        let body = json!({
            "email": login.email.expose_secret(),
            "password": login.password.expose_secret(),
            "appId": login.app_id,
        });
        let request = self
            .request(Method::POST, self.path(&["v1", "tokens"])?)
            .header(CONTENT_TYPE, "application/json")
            .body(body.to_string());
        answer::granted(&self.send(request, Urgency::Urgent).await?)
    }

    /// A new pair of tokens for the refreshToken of an old one (`v1.tokens.refresh`). The old pair may be useless
    /// afterwards.
    ///
    /// # Errors
    /// [`ApiError`]; [`ApiError::InvalidToken`] is about the refreshToken.
    pub async fn refresh(&self, refresh: &SecretString) -> Result<Granted, ApiError> {
        let url = self.path(&["v1", "tokens", "refresh"])?;
        let request = self.request(Method::POST, url).header(REFRESH, self.sensitive(refresh)?);
        answer::granted(&self.send(request, Urgency::Urgent).await?)
    }

    /// Whether a token is valid (`v1.tokens.check`).
    ///
    /// # Errors
    /// [`ApiError`] if that cannot be found out.
    pub async fn is_good(&self, token: &SecretString) -> Result<bool, ApiError> {
        answer::is_good(&self.get(&["v1", "tokens", "check"], &[], token).await?)
    }

    /// The licences of the account, with their messengers (`v1.licenses`).
    ///
    /// # Errors
    /// [`ApiError`]
    pub async fn licenses(&self, token: &SecretString) -> Result<Vec<License>, ApiError> {
        self.whole_list(&["v1", "licenses"], token, answer::licenses).await
    }

    /// The ids of the account's companies.
    ///
    /// # Errors
    /// [`ApiError`]
    pub async fn companies(&self, token: &SecretString) -> Result<Vec<String>, ApiError> {
        self.whole_list(&["v1", "companies"], token, answer::companies).await
    }

    /// The id of the user who owns the token, if ChatApp tells it.
    ///
    /// # Errors
    /// [`ApiError`]
    pub async fn me(&self, token: &SecretString) -> Result<Option<String>, ApiError> {
        answer::user(&self.get(&["v1", "me"], &[], token).await?)
    }

    /// The registered callback URLs.
    ///
    /// # Errors
    /// [`ApiError`]
    pub async fn callback_urls(&self, token: &SecretString) -> Result<Vec<CallbackUrl>, ApiError> {
        self.whole_list(&["v1", "callbackUrls"], token, answer::callback_urls).await
    }

    /// A page of the chats of a line, latest activity first.
    ///
    /// # Errors
    /// [`ApiError`]
    pub async fn chats(
        &self,
        token: &SecretString,
        line: &Line,
        start: Start<'_>,
    ) -> Result<Page<ChatSummary>, ApiError> {
        let path = ["v1", "licenses", &line.license, "messengers", &line.messenger, "chats"];
        let answer = self.get(&path, &paging(start), token).await?;
        answer::chats(&answer, PAGE_ITEMS_MAX)
    }

    /// A page of a chat's messages, oldest first, as ChatApp wrote them.
    ///
    /// # Errors
    /// [`ApiError`]
    pub async fn messages(
        &self,
        token: &SecretString,
        line: &Line,
        chat: &str,
        start: Start<'_>,
    ) -> Result<Page<Box<RawValue>>, ApiError> {
        let path = ["v1", "licenses", &line.license, "messengers", &line.messenger, "chats", chat, "messages"];
        let mut query = paging(start);
        query.push(("direction", "next".to_owned()));
        let answer = self.get(&path, &query, token).await?;
        answer::messages(&answer, PAGE_ITEMS_MAX)
    }

    /// The signature that is needed to subscribe to `channel` on the connection `socket_id`. Goes ahead of all requests
    /// that can wait.
    ///
    /// # Errors
    /// [`ApiError`]; [`ApiError::Refused`] if the account may not subscribe to this channel.
    pub async fn authorise(
        &self,
        token: &SecretString,
        socket_id: &str,
        channel: &str,
    ) -> Result<SecretString, ApiError> {
        let request = self
            .request(Method::POST, self.path(&["broadcasting", "auth"])?)
            .header(AUTHORIZATION, self.sensitive(token)?)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Auth::form(socket_id, channel));
        answer::signature(&self.ask(request, Urgency::Urgent).await?)
    }

    /// Reads all pages of a short list.
    async fn whole_list<T>(
        &self,
        path: &[&str],
        token: &SecretString,
        read: fn(&Answer) -> Result<Page<T>, ApiError>,
    ) -> Result<Vec<T>, ApiError> {
        let (mut items, mut query) = (Vec::new(), Vec::new());
        for _ in 0..LIST_PAGES_MAX {
            let page = read(&self.get(path, &query, token).await?)?;
            items.extend(page.items);
            match page.next {
                Next::End => return Ok(items),
                Next::Cursor(cursor) => query = vec![("nextPage", cursor)],
            }
        }
        Err(answer::unexpected("a list without an end"))
    }

    async fn get(&self, path: &[&str], query: &[(&str, String)], token: &SecretString) -> Result<Answer, ApiError> {
        let mut url = self.path(path)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        // The bare token, without `Bearer`.
        let request = self.request(Method::GET, url).header(AUTHORIZATION, self.sensitive(token)?);
        self.ask(request, Urgency::Patient).await
    }

    fn request(&self, verb: Method, url: Url) -> RequestBuilder {
        self.http.request(verb, url).header(ACCEPT, "application/json").header(LANG, &self.lang)
    }

    /// The URL of these path segments, percent-encoded.
    fn path(&self, segments: &[&str]) -> Result<Url, ApiError> {
        // Dot segments would change the path instead of naming something in it.
        if segments.iter().any(|segment| matches!(*segment, "" | "." | "..")) {
            let fix = "an id is not one that a path can hold: it cannot be asked for";
            return Err(ApiError::Refused { status: 0, code: String::new(), fix });
        }
        let mut url = self.url.clone();
        url.path_segments_mut().expect("the configuration takes only http and https").pop_if_empty().extend(segments);
        Ok(url)
    }

    /// For requests that change nothing: sent once more if the connection turns out to be closed.
    async fn ask(&self, request: RequestBuilder, urgency: Urgency) -> Result<Answer, ApiError> {
        let _turn = self.pace.turn(urgency).await;
        let again = request.try_clone();
        match (request.send().await, again) {
            (Err(error), Some(again)) if http::was_closed_unanswered(&error) => self.answer(again.send().await).await,
            (response, _) => self.answer(response).await,
        }
    }

    /// Sent only once: the request changes something at ChatApp.
    async fn send(&self, request: RequestBuilder, urgency: Urgency) -> Result<Answer, ApiError> {
        let _turn = self.pace.turn(urgency).await;
        self.answer(request.send().await).await
    }

    async fn answer(&self, response: Result<Response, reqwest::Error>) -> Result<Answer, ApiError> {
        let response = response.map_err(|error| self.unreachable(error))?;
        let status = response.status().as_u16();
        let retry_after = http::retry_after(&response);
        let (bytes, complete) = self.read(response).await?;
        if status == 429 {
            // All requests come from one address: any other would get the same answer.
            self.pace.hold(retry_after);
        }
        Ok(Answer { status, retry_after, bytes, complete })
    }

    /// The body up to the limit, and whether that was all of it.
    async fn read(&self, response: Response) -> Result<(Vec<u8>, bool), ApiError> {
        let undecodable = || {
            let detail = "ChatApp answers with something compressed in a way that is not read here".to_owned();
            ApiError::Unreachable { class: "encoding", detail }
        };
        let coding = Coding::of(response.headers()).map_err(|_| undecodable())?;
        let first_bytes = response.content_length().and_then(|length| usize::try_from(length).ok());
        let body = reqwest::Body::from(response);
        match content_coding::read(body, coding, first_bytes.unwrap_or(FIRST_BYTES), self.bytes_max, |_| true).await {
            Ok(bytes) => Ok((bytes, true)),
            Err(ReadError::TooLong(bytes)) => Ok((bytes, false)),
            Err(ReadError::Broken(error)) => Err(self.unreachable(error)),
            Err(ReadError::Undecodable | ReadError::NoRoom) => Err(undecodable()),
        }
    }

    fn unreachable(&self, error: reqwest::Error) -> ApiError {
        let class = if error.is_timeout() { "timeout" } else { "connection" };
        let host = self.url.host_str().unwrap_or_default();
        let causes = self.redactor.outside(&http::causes(error));
        ApiError::Unreachable { class, detail: format!("{host} does not answer: {causes}") }
    }

    /// The token as a header that is never printed; the redactor learns it too.
    fn sensitive(&self, token: &SecretString) -> Result<HeaderValue, ApiError> {
        let mut value = HeaderValue::from_str(token.expose_secret()).map_err(|_| {
            let fix = "a token holds characters no header takes: log in anew, or paste it again";
            ApiError::Refused { status: 0, code: String::new(), fix }
        })?;
        value.set_sensitive(true);
        self.redactor.learn(token);
        Ok(value)
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

/// An HTTP answer, its body read up to the limit.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) complete: bool,
}

fn refusal(status: u16, code: &str) -> String {
    match (status, code) {
        (0, _) => "not asked".to_owned(),
        (status, "") => format!("HTTP {status}"),
        (status, code) => format!("HTTP {status}, {code}"),
    }
}

fn paging(start: Start<'_>) -> Vec<(&'static str, String)> {
    let mut query = vec![("limit", PAGE_ITEMS_MAX.to_string())];
    match start {
        Start::At(None) => {}
        Start::At(Some(time)) => query.push(("lastTime", time.as_second().to_string())),
        // The cursor includes the position, so it replaces lastTime.
        Start::Cursor(cursor) => query.push(("nextPage", cursor.to_owned())),
    }
    query
}

#[cfg(test)]
mod tests;
