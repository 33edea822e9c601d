//! The source of token pairs.

use std::future::Future;
use std::sync::Arc;

use secrecy::SecretString;

use crate::chatapp::api::{Api, ApiError, Granted};
use crate::config::Login;

/// Makes token pairs.
pub trait TokenEndpoint: Send + Sync + 'static {
    /// With a login.
    fn log_in(&self, login: &Login) -> impl Future<Output = Result<Granted, ApiError>> + Send;

    /// With a refreshToken.
    fn refresh(&self, refresh: &SecretString) -> impl Future<Output = Result<Granted, ApiError>> + Send;
}

impl TokenEndpoint for Api {
    fn log_in(&self, login: &Login) -> impl Future<Output = Result<Granted, ApiError>> + Send {
        Self::log_in(self, login)
    }

    fn refresh(&self, refresh: &SecretString) -> impl Future<Output = Result<Granted, ApiError>> + Send {
        Self::refresh(self, refresh)
    }
}

impl<E: TokenEndpoint> TokenEndpoint for Arc<E> {
    fn log_in(&self, login: &Login) -> impl Future<Output = Result<Granted, ApiError>> + Send {
        E::log_in(self, login)
    }

    fn refresh(&self, refresh: &SecretString) -> impl Future<Output = Result<Granted, ApiError>> + Send {
        E::refresh(self, refresh)
    }
}
