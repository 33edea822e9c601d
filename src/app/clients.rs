//! The clients of instances.

use std::sync::Arc;

use crate::chatapp::api::{self, Api};
use crate::config::{self, GreenApi, Instance};
use crate::green_api::client::{Http, InstanceClient, Pace, http_client};
use crate::http::is_loopback;
use crate::redact::Redactor;

/// Makes the instances' clients from one connection pool. Connections are opened at one common pace.
pub struct InstanceClients {
    green_api: GreenApi,
    proxied: Http,
    direct: Http,
    redactor: Redactor,
}

impl InstanceClients {
    /// As `green_api` says. Everything that `redactor` knows is removed from their messages.
    ///
    /// # Errors
    /// If TLS towards GREEN-API cannot be set up.
    pub fn new(green_api: &GreenApi, redactor: &Redactor) -> Result<Self, reqwest::Error> {
        let pace = Pace::of(green_api);
        let (proxied, direct) = (http_client(green_api, false, &pace)?, http_client(green_api, true, &pace)?);
        Ok(Self { green_api: green_api.clone(), proxied, direct, redactor: redactor.clone() })
    }

    /// A client of `instance`.
    #[must_use]
    pub fn of(&self, instance: &Instance) -> Arc<InstanceClient> {
        // A proxy does not lead to this machine's own loopback address.
        let http = if is_loopback(&instance.api_url) { &self.direct } else { &self.proxied };
        Arc::new(InstanceClient::new(http.clone(), &self.green_api, instance, self.redactor.clone()))
    }
}

/// A client of ChatApp's API.
///
/// # Errors
/// If TLS towards it cannot be set up.
pub fn chatapp_api(config: &config::ChatApp, redactor: &Redactor) -> Result<Arc<Api>, reqwest::Error> {
    let http = api::http_client(config, is_loopback(&config.api_url))?;
    Ok(Arc::new(Api::new(http, config, redactor.clone())))
}
