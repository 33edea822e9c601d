//! The ChatApp account: its API, called with a valid token.

use std::future::Future;
use std::sync::Arc;

use parking_lot::Mutex;
use secrecy::SecretString;
use serde_json::value::RawValue;
use tracing::warn;

use super::api::{Api, ApiError, CallbackUrl, ChatSummary, License, Line, Page, Start};
use super::tokens::{AccessToken, TokenError, TokenView, Tokens};
use crate::chatapp::mend::backfill::{History, Obstacle};

/// Why the account could not do something. The variants differ in what comes next: see the error inside each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// ChatApp did not do it. [`ApiError::InvalidToken`]: a token that was just made was refused too.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// There is no token to call the API with.
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// One account. It lives as long as the process.
#[derive(Debug)]
pub struct Account {
    api: Arc<Api>,
    tokens: Tokens<Arc<Api>>,
    /// The token that was in use when an authorisation was refused.
    refused: Mutex<Option<AccessToken>>,
}

impl Account {
    /// Calls `api` with `tokens`.
    #[must_use]
    pub fn new(api: Arc<Api>, tokens: Tokens<Arc<Api>>) -> Self {
        Self { api, tokens, refused: Mutex::new(None) }
    }

    /// Keeps the tokens alive; never returns.
    pub async fn keep_up(&self) {
        self.tokens.keep_up().await;
    }

    /// The state of its tokens.
    #[must_use]
    pub fn tokens(&self) -> TokenView {
        self.tokens.view()
    }

    /// Its licences.
    ///
    /// # Errors
    /// [`AccountError`]
    pub async fn licenses(&self) -> Result<Vec<License>, AccountError> {
        self.ask(|token| async move { self.api.licenses(&token).await }).await
    }

    /// Its callback URLs.
    ///
    /// # Errors
    /// [`AccountError`]
    pub async fn callback_urls(&self) -> Result<Vec<CallbackUrl>, AccountError> {
        self.ask(|token| async move { self.api.callback_urls(&token).await }).await
    }

    /// The names of all its channels: one for each messenger of each licence that is not said to be inactive, one for
    /// each company, and one for its user. Employees of a company get none: their events are part of the others.
    ///
    /// # Errors
    /// [`AccountError`]. If companies or the user are refused or unreadable, that is logged and their channels are left
    /// out.
    pub async fn channels(&self) -> Result<Vec<String>, AccountError> {
        let licenses = self.licenses().await?;
        let companies = self.ask(|token| async move { self.api.companies(&token).await }).await;
        let companies = unless_refused("companies", companies)?.unwrap_or_default();
        let user = self.ask(|token| async move { self.api.me(&token).await }).await;
        let user = unless_refused("user", user)?.flatten().or_else(|| self.tokens.view().cabinet_user);
        Ok(channel_names(&licenses, &companies, user.as_deref()))
    }

    /// The signature for a channel on a connection. Nothing is renewed or retried here: the session decides about that,
    /// and calls [`Account::renew`].
    ///
    /// # Errors
    /// [`ApiError::InvalidToken`], also when a refusal turns out to be about the token.
    pub async fn authorise(&self, socket_id: &str, channel: &str) -> Result<SecretString, AccountError> {
        let token = self.tokens.access().await?;
        let refusal = match self.api.authorise(token.text(), socket_id, channel).await {
            Ok(signature) => return Ok(signature),
            // Laravel answers 403 in both cases: for a bad token and for a forbidden channel.
            Err(refusal @ ApiError::Refused { status: 403, .. }) => match self.api.is_good(token.text()).await {
                Ok(false) => ApiError::InvalidToken,
                Ok(true) | Err(_) => refusal,
            },
            Err(error) => error,
        };
        if refusal == ApiError::InvalidToken {
            *self.refused.lock() = Some(token);
        }
        Err(refusal.into())
    }

    /// Makes sure that the token is not the one with which [`Account::authorise`] was refused.
    ///
    /// # Errors
    /// [`TokenError`]
    pub async fn renew(&self) -> Result<(), TokenError> {
        let refused = self.refused.lock().clone();
        match refused {
            Some(refused) => self.tokens.renewed(&refused).await.map(drop),
            None => self.tokens.access().await.map(drop),
        }
    }

    /// Asks, and asks once more with another token if the first one is refused.
    async fn ask<T, F>(&self, request: impl Fn(SecretString) -> F) -> Result<T, AccountError>
    where
        F: Future<Output = Result<T, ApiError>>,
    {
        let token = self.tokens.access().await?;
        match request(token.text().clone()).await {
            Err(ApiError::InvalidToken) => {
                let token = self.tokens.renewed(&token).await?;
                Ok(request(token.text().clone()).await?)
            }
            answer => Ok(answer?),
        }
    }
}

impl History for Account {
    async fn chats(&self, line: &Line, start: Start<'_>) -> Result<Page<ChatSummary>, Obstacle> {
        let page = self.ask(|token| async move { self.api.chats(&token, line, start).await }).await;
        page.map_err(|error| obstacle(&error))
    }

    async fn messages(&self, line: &Line, chat: &str, start: Start<'_>) -> Result<Page<Box<RawValue>>, Obstacle> {
        let page = self.ask(|token| async move { self.api.messages(&token, line, chat, start).await }).await;
        page.map_err(|error| obstacle(&error))
    }
}

/// What an error means for the back-fill, which reads page after page.
fn obstacle(error: &AccountError) -> Obstacle {
    let detail = error.to_string();
    match error {
        AccountError::Api(ApiError::Refused { .. }) => Obstacle::Never { detail },
        AccountError::Api(ApiError::RateLimited { retry_after }) => Obstacle::Again { least: *retry_after, detail },
        AccountError::Api(ApiError::InvalidToken | ApiError::Unreachable { .. })
        | AccountError::Token(TokenError::NotStored { .. }) => Obstacle::Again { least: None, detail },
        AccountError::Token(TokenError::Waiting { wait, .. }) => Obstacle::Again { least: Some(*wait), detail },
        AccountError::Token(TokenError::NeedsOperator(_)) => Obstacle::Stop { detail },
    }
}

/// `None` for a refusal or an unreadable answer, which is logged: not every account may see everything.
fn unless_refused<T>(what: &str, answer: Result<T, AccountError>) -> Result<Option<T>, AccountError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(AccountError::Api(
            error @ (ApiError::Refused { .. } | ApiError::Unreachable { class: "unexpected", .. }),
        )) => {
            warn!("ChatApp: channels of the {what} are left out, name them in chatapp.channels: {error}");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn channel_names(licenses: &[License], companies: &[String], user: Option<&str>) -> Vec<String> {
    let lines = licenses.iter().filter(|license| license.active != Some(false)).flat_map(|license| {
        let name = |messenger| format!("private-v1.licenses.{}.messengers.{messenger}", license.id);
        license.messengers.iter().map(name)
    });
    let companies = companies.iter().map(|company| format!("private-v1.companies.{company}"));
    let user = user.map(|user| format!("private-v1.users.{user}"));
    // Pusher's legal characters: the server would not know a channel with any other.
    let legal = |name: &String| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_=@,.;".contains(&byte));
    let mut names: Vec<String> = Vec::new();
    for name in lines.chain(companies).chain(user).filter(legal) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests;
