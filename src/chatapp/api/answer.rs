//! What an answer of ChatApp's API means: plain functions over status and bytes.
//!
//! Scalars come as numbers or as strings, lists come bare or as `{items, nextPage}`; both are read. An unknown form is
//! an error and never an empty list: a page must not be lost because it looked odd.

use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{Answer, ApiError};
use chatbridge_base::json::Json;

/// ChatApp's error code for a token that it refuses, under any HTTP status.
const INVALID_TOKEN: &str = "ApiInvalidTokenError";
/// The longest error code that is repeated.
const CODE_CHARS_MAX: usize = 64;

/// A new pair of tokens.
#[derive(Debug, Clone)]
pub struct Granted {
    /// The accessToken, sent with each request.
    pub access: SecretString,
    /// When it expires, if ChatApp said so.
    pub access_ends: Option<Timestamp>,
    /// The refreshToken, which gets the next pair.
    pub refresh: Option<SecretString>,
    /// When that expires.
    pub refresh_ends: Option<Timestamp>,
    /// The user of the personal cabinet.
    pub cabinet_user: Option<String>,
}

/// A licence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct License {
    /// `licenseId`.
    pub id: String,
    /// Whether it is active; older answers do not say.
    pub active: Option<bool>,
    /// The types of its messengers, spelt as ChatApp does.
    pub messengers: Vec<String>,
}

/// A chat, as it appears in a list of chats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatSummary {
    /// Its id.
    pub id: String,
    /// Its latest activity.
    pub moved: Moved,
}

/// The latest activity of a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moved {
    /// None: the chat is empty.
    Never,
    /// At this time.
    At(Timestamp),
    /// There is a value, but it is no time.
    Unreadable,
}

/// A registered callback URL.
#[derive(Debug, Clone)]
pub struct CallbackUrl {
    /// Its licence.
    pub license: String,
    /// Its messenger.
    pub messenger: String,
    /// The events it gets.
    pub events: Vec<String>,
    /// The URL, which includes a secret.
    pub url: SecretString,
}

/// A page of a list.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The items on it.
    pub items: Vec<T>,
    /// What follows it.
    pub next: Next,
}

/// What follows a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Nothing.
    End,
    /// The page at this cursor.
    Cursor(String),
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow)]
    items: Vec<&'a RawValue>,
    /// `null` means that there is no next page; if it is absent, nothing is known.
    #[serde(borrow, rename = "nextPage", default, deserialize_with = "even_null")]
    next_page: Option<&'a RawValue>,
}

fn even_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Reads the tokens of `v1.tokens.make` and `v1.tokens.refresh`.
pub(super) fn granted(answer: &Answer) -> Result<Granted, ApiError> {
    let data = data(answer)?;
    let data = parsed(data)?;
    let time = |name: &str| moment(data.get(name));
    let token = |name: &str| data.get(name).words().map(|token| SecretString::from(token.to_owned()));
    Ok(Granted {
        access: token("accessToken").ok_or_else(|| unexpected("an answer without an accessToken"))?,
        access_ends: time("accessTokenEndTime"),
        refresh: token("refreshToken"),
        refresh_ends: time("refreshTokenEndTime"),
        cabinet_user: data.get("cabinetUserId").words().map(str::to_owned),
    })
}

/// Reads the answer of `v1.tokens.check`.
pub(super) fn is_good(answer: &Answer) -> Result<bool, ApiError> {
    match failure(answer) {
        None => Ok(true),
        Some(ApiError::InvalidToken | ApiError::Refused { status: 200..=299 | 403, .. }) => Ok(false),
        Some(failure) => Err(failure),
    }
}

/// Reads the licences; `messenger` is a list despite its name.
pub(super) fn licenses(answer: &Answer) -> Result<Page<License>, ApiError> {
    list(answer, |license| {
        let id = license.get("licenseId").words()?.to_owned();
        let [one, many] = [license.get("messenger"), license.get("messengers")];
        let messengers = if one.items().is_empty() { many.items() } else { one.items() };
        let types = messengers.iter().filter_map(|messenger| messenger.get("type").words());
        let messengers = types.map(str::to_owned).collect();
        Some(License { id, active: license.get("active").boolean(), messengers })
    })
}

/// Reads the ids of the companies.
pub(super) fn companies(answer: &Answer) -> Result<Page<String>, ApiError> {
    list(answer, |company| {
        let id = company.get("companyId").words().or_else(|| company.get("id").words());
        id.map(str::to_owned)
    })
}

/// The id of the user. The form of this answer is not documented, so the likely names are tried in turn.
pub(super) fn user(answer: &Answer) -> Result<Option<String>, ApiError> {
    let data = data(answer)?;
    let data = parsed(data)?;
    let ids = ["userId", "id", "cabinetUserId"].into_iter().map(|name| data.get(name));
    Ok(ids.into_iter().find_map(Json::words).map(str::to_owned))
}

/// Reads the callback URLs.
pub(super) fn callback_urls(answer: &Answer) -> Result<Page<CallbackUrl>, ApiError> {
    list(answer, |callback| {
        let text = |name: &str| callback.get(name).words().map(str::to_owned);
        let events = callback.get("events").items().iter().filter_map(Json::words).map(str::to_owned).collect();
        Some(CallbackUrl {
            license: text("licenseId")?,
            messenger: text("messengerType")?,
            events,
            url: text("url")?.into(),
        })
    })
}

/// Reads a page of chats.
pub(super) fn chats(answer: &Answer, limit: usize) -> Result<Page<ChatSummary>, ApiError> {
    let page = page(answer, limit)?;
    let summary = |item: &RawValue| {
        let chat = parsed(item)?;
        let id = chat.get("id").words().ok_or_else(|| unexpected("a chat without an id"))?.to_owned();
        let last = chat.get("lastTime");
        let moved = match moment(last) {
            Some(time) => Moved::At(time),
            None if last.is_null() || last.integer() == Some(0) => Moved::Never,
            None => Moved::Unreadable,
        };
        Ok(ChatSummary { id, moved })
    };
    let items = page.items.into_iter().map(summary).collect::<Result<_, _>>()?;
    Ok(Page { items, next: page.next })
}

/// Reads a page of messages.
pub(super) fn messages(answer: &Answer, limit: usize) -> Result<Page<Box<RawValue>>, ApiError> {
    let page = page(answer, limit)?;
    Ok(Page { items: page.items.into_iter().map(RawValue::to_owned).collect(), next: page.next })
}

/// Reads the signature of `POST /broadcasting/auth`. This is Pusher's answer, so it has no ChatApp envelope.
pub(super) fn signature(answer: &Answer) -> Result<SecretString, ApiError> {
    if answer.status == 200 && answer.complete {
        let text = text(answer)?;
        // Checked first: the reader expects valid JSON.
        let document: &RawValue = serde_json::from_str(text).map_err(|_| not_json())?;
        if let Some(signature) = parsed(document)?.get("auth").words() {
            return Ok(signature.to_owned().into());
        }
    }
    match failure(answer) {
        Some(failure) => Err(failure),
        None => Err(unexpected("an authorisation without a signature")),
    }
}

/// Seconds since 1970, as a number or a string.
pub(crate) fn moment(value: &Json<'_>) -> Option<Timestamp> {
    value.integer().filter(|seconds| *seconds > 0).and_then(|seconds| Timestamp::from_second(seconds).ok())
}

/// Reads a page of a list that, as far as is known, is always given whole.
fn list<T>(answer: &Answer, read: impl Fn(&Json<'_>) -> Option<T>) -> Result<Page<T>, ApiError> {
    let page = page(answer, usize::MAX)?;
    let read_one = |item: &RawValue| read(&parsed(item)?).ok_or_else(|| unexpected("an item without its id"));
    Ok(Page { items: page.items.into_iter().map(read_one).collect::<Result<_, _>>()?, next: page.next })
}

/// Reads `data` as a list: bare, or in `items` with the next page. `limit` is the number that was asked for.
fn page(answer: &Answer, limit: usize) -> Result<Page<&RawValue>, ApiError> {
    let data = data(answer)?;
    if let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(data.get()) {
        return Ok(Page { items: whole(items, limit)?, next: Next::End });
    }
    let list: List<'_> = serde_json::from_str(data.get()).map_err(|_| unexpected("an answer without its list"))?;
    let next = match list.next_page {
        None => return Ok(Page { items: whole(list.items, limit)?, next: Next::End }),
        Some(cursor) => match parsed(cursor)? {
            Json::Null | Json::Bool(false) => Next::End,
            cursor @ (Json::String(_) | Json::Number(_)) => match cursor.words() {
                Some(cursor) => Next::Cursor(cursor.to_owned()),
                None => Next::End,
            },
            _ => return Err(unexpected("a nextPage that is no cursor")),
        },
    };
    Ok(Page { items: list.items, next })
}

/// If nothing is said about a next page, a full page may have one.
fn whole<T>(items: Vec<T>, limit: usize) -> Result<Vec<T>, ApiError> {
    if items.len() < limit {
        Ok(items)
    } else {
        Err(unexpected("a full page that does not say whether there is another"))
    }
}

fn parsed(value: &RawValue) -> Result<Json<'_>, ApiError> {
    Json::parse(value.get()).ok_or_else(not_json)
}

/// The `data` of a success; everything else is an error.
fn data(answer: &Answer) -> Result<&RawValue, ApiError> {
    if let Some(failure) = failure(answer) {
        return Err(failure);
    }
    let envelope: Envelope<'_> = serde_json::from_str(text(answer)?).map_err(|_| not_json())?;
    envelope.data.ok_or_else(|| unexpected("a success without data"))
}

fn text(answer: &Answer) -> Result<&str, ApiError> {
    std::str::from_utf8(&answer.bytes).map(|text| text.trim_start_matches('\u{feff}').trim()).map_err(|_| not_json())
}

/// What went wrong; `None` for a success. The body decides first, then the status.
fn failure(answer: &Answer) -> Option<ApiError> {
    let document = text(answer).ok().and_then(|text| serde_json::from_str::<&RawValue>(text).ok());
    let said = document.and_then(|document| Json::parse(document.get())).unwrap_or(Json::Null);
    let code = code(said.get("error"));
    if code == INVALID_TOKEN {
        return Some(ApiError::InvalidToken);
    }
    if answer.complete && said.get("success").boolean() == Some(true) && said.get("error").is_null() {
        return None;
    }
    let status = answer.status;
    let refused = |fix| Some(ApiError::Refused { status, code: code.clone(), fix });
    match status {
        200..=299 if !answer.complete => refused("the answer is longer than chatapp.response_bytes_max: raise it"),
        200..=299 if !said.is_object() => Some(not_json()),
        200..=299 if said.get("success").boolean() == Some(false) || !said.get("error").is_null() => {
            refused("look the code up in ChatApp's documentation")
        }
        200..=299 => None,
        300..=399 => refused("chatapp.api_url answers with a redirect: is it ChatApp's?"),
        401 => Some(ApiError::InvalidToken),
        403 => refused("the account may not do this: is the licence its own, and paid?"),
        404 => refused("there is no such thing: is chatapp.api_url ChatApp's, and the licence still there?"),
        408 | 504 => Some(ApiError::Unreachable { class: "timeout", detail: format!("ChatApp: HTTP {status}") }),
        429 => Some(ApiError::RateLimited { retry_after: answer.retry_after }),
        500..=599 => Some(ApiError::Unreachable { class: "server_error", detail: format!("ChatApp: HTTP {status}") }),
        400..=499 => refused("look the code up in ChatApp's documentation"),
        _ => Some(ApiError::Unreachable { class: "unexpected", detail: format!("ChatApp: HTTP {status}") }),
    }
}

/// The error's code, if it looks like one. The error's message is not used: it is localised text and may quote the
/// request.
fn code(error: &Json<'_>) -> String {
    let code = error.get("code").words().unwrap_or_default();
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    // Digits alone may be anything, even a phone number.
    let is_code = code.len() <= CODE_CHARS_MAX && code.bytes().all(is_word);
    let is_short_number = code.len() <= 5;
    let has_letter = code.bytes().any(|byte| byte.is_ascii_alphabetic());
    if is_code && (has_letter || is_short_number) { code.to_owned() } else { String::new() }
}

fn not_json() -> ApiError {
    let detail = "ChatApp answers with something that is not its JSON: does chatapp.api_url lead to it?".to_owned();
    ApiError::Unreachable { class: "not_json", detail }
}

pub(super) fn unexpected(what: &str) -> ApiError {
    ApiError::Unreachable { class: "unexpected", detail: format!("ChatApp answers with {what}") }
}

#[cfg(test)]
mod tests;
