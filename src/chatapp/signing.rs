//! Gets signatures for the session's channels from the account.

use super::account::{Account, AccountError};
use super::api::ApiError;
use chatbridge_pusher::{Auth, AuthFailure, Authorizer};
use secrecy::ExposeSecret;

impl Authorizer for Account {
    async fn authorise(&self, socket_id: &str, channel: &str) -> Result<Auth, AuthFailure> {
        match Account::authorise(self, socket_id, channel).await {
            Ok(signature) => Ok(Auth::new(signature.expose_secret().to_owned())),
            Err(failure) => Err(meaning(&failure)),
        }
    }

    async fn renew_token(&self) -> bool {
        self.renew().await.is_ok()
    }
}

/// What a failure means for the session.
fn meaning(failure: &AccountError) -> AuthFailure {
    let detail = failure.to_string();
    match failure {
        AccountError::Api(ApiError::InvalidToken | ApiError::Refused { .. }) => AuthFailure::Forbidden { detail },
        AccountError::Api(ApiError::RateLimited { retry_after }) => {
            AuthFailure::Unavailable { detail, retry_after: *retry_after }
        }
        AccountError::Api(ApiError::Unreachable { .. }) | AccountError::Token(_) => {
            AuthFailure::Unavailable { detail, retry_after: None }
        }
    }
}
