//! The clients of instances.

use std::sync::Arc;

use crate::chatapp::api::{self, Api};
use crate::config::{self, GreenApi, Instance};
use crate::green_api::{Http, InstanceClient, Pace, http_client, is_loopback};

/// Makes clients of instances out of one pool of connections, which are opened at one pace.
pub struct InstanceClients {
    green_api: GreenApi,
    proxied: Http,
    direct: Http,
}

impl InstanceClients {
    /// As `green_api` says.
    ///
    /// # Errors
    /// Where TLS towards GREEN-API cannot be set up.
    pub fn new(green_api: &GreenApi) -> Result<Self, reqwest::Error> {
        let pace = Pace::of(green_api);
        let (proxied, direct) = (http_client(green_api, false, &pace)?, http_client(green_api, true, &pace)?);
        Ok(Self { green_api: green_api.clone(), proxied, direct })
    }

    /// A client of `instance`.
    #[must_use]
    pub fn of(&self, instance: &Instance) -> Arc<InstanceClient> {
        // No proxy leads to this machine's own loopback address.
        let http = if is_loopback(&instance.api_url) { &self.direct } else { &self.proxied };
        Arc::new(InstanceClient::new(http.clone(), &self.green_api, instance))
    }
}

/// A client of ChatApp's API.
///
/// # Errors
/// Where TLS towards it cannot be set up.
pub fn chatapp_api(config: &config::ChatApp) -> Result<Arc<Api>, reqwest::Error> {
    Ok(Arc::new(Api::new(api::http_client(config, is_loopback(&config.api_url))?, config)))
}
