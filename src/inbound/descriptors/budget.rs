//! How the file descriptors are shared out: first what delivery needs, then the listeners. Only arithmetic.

use crate::config::{Config, Receive};

/// Standard streams, the runtime, signals, the log, listening sockets, files that are read briefly, DNS look-ups.
const PROCESS: u64 = 24;
/// A poll, and beside it a delete or a state request.
const POLLED_INSTANCE: u64 = 2;
/// A state request, or a look-up of a caller's name.
const CALLED_INSTANCE: u64 = 1;
/// A connection, another one while it is replaced, and the wake-up of the thread that serves them.
const BROKER: u64 = 4;
/// A cluster may have more brokers than the configuration names.
const BROKERS_MIN: u64 = 3;
/// The spool, the socket, requests, files that are replaced.
const CHATAPP: u64 = 12;
/// For a service that is called over HTTP: the schema registry, the collector of spans.
const SERVICE: u64 = 2;
/// The minimum for a useful listener: a scrape, a probe, a person, and one to spare.
const LISTENER_MIN: u64 = 4;
/// If both listeners share, the admin listener gets one part in this many.
const ADMIN_PART: u64 = 4;

/// How many connections a listener may have, in all and per address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Of all addresses.
    pub connections_max: usize,
    /// Of one.
    pub per_address_max: usize,
}

/// The share of each part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// The descriptors that delivery needs.
    pub delivery: u64,
    /// The admin listener's connections.
    pub admin: Share,
    /// The webhook's connections, if it listens.
    pub webhook: Option<Share>,
    /// The limit of open files that would be enough for everything as configured.
    pub limit_wanted: u64,
}

impl Budget {
    /// What `config` gets under this limit of open files.
    #[must_use]
    pub fn new(limit: Option<u64>, config: &Config) -> Self {
        let delivery = delivery(config);
        let admin = configured(config.admin.connections_max, config.admin.connections_per_address_max);
        let webhook = config
            .webhook
            .as_ref()
            .map(|webhook| configured(webhook.connections_max, webhook.connections_per_address_max));
        let wanted = |share: &Share| share.connections_max as u64;
        let limit_wanted = delivery + wanted(&admin) + webhook.as_ref().map_or(0, wanted);
        let Some(limit) = limit.filter(|limit| *limit < limit_wanted) else {
            return Self { delivery, admin, webhook, limit_wanted };
        };
        let left = limit.saturating_sub(delivery);
        let for_admin = if webhook.is_some() { left / ADMIN_PART } else { left };
        let admin = admin.cut_to(for_admin);
        let webhook = webhook.map(|webhook| webhook.cut_to(left.saturating_sub(wanted(&admin))));
        Self { delivery, admin, webhook, limit_wanted }
    }

    /// Whether the listeners get as many connections as configured.
    #[must_use]
    pub fn is_enough(&self, limit: Option<u64>) -> bool {
        limit.is_none_or(|limit| limit >= self.limit_wanted)
    }
}

impl Share {
    /// As much of this as `connections` allow, both limits in proportion, but always enough to be useful.
    fn cut_to(self, connections: u64) -> Self {
        let connections = usize::try_from(connections.max(LISTENER_MIN)).unwrap_or(usize::MAX);
        let connections_max = connections.min(self.connections_max);
        let per_address_max = self.per_address_max.saturating_mul(connections_max) / self.connections_max.max(1);
        Self { connections_max, per_address_max: per_address_max.max(1) }
    }
}

fn configured(connections_max: usize, per_address_max: usize) -> Share {
    Share { connections_max, per_address_max: per_address_max.min(connections_max) }
}

fn delivery(config: &Config) -> u64 {
    let instances = config.instances.iter().map(|instance| match instance.receive {
        Receive::Poll => POLLED_INSTANCE,
        Receive::Webhook { .. } => CALLED_INSTANCE,
    });
    let brokers = (config.kafka.brokers.split(',').count() as u64).max(BROKERS_MIN);
    let services = u64::from(config.schema_registry.is_some()) + u64::from(config.tracing.otlp.is_some());
    PROCESS
        + instances.sum::<u64>()
        + brokers * BROKER
        + services * SERVICE
        + if config.chatapp.is_some() { CHATAPP } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    fn config(instances: usize, more: &str) -> Config {
        let mut text = more.to_owned();
        for id in 1..=instances {
            text.push_str(&format!("[[green_api.instances]]\nid = {id}\ntoken = 'abc'\n"));
        }
        let path = std::env::temp_dir().join(format!("chatbridge-budget-{:x}", fastrand::u64(..)));
        std::fs::write(&path, text).expect("writable");
        let config = load(Some(&path), []);
        std::fs::remove_file(&path).expect("ours");
        config.unwrap_or_else(|error| panic!("{error}"))
    }

    fn share(connections_max: usize, per_address_max: usize) -> Share {
        Share { connections_max, per_address_max }
    }

    #[test]
    fn delivery_comes_first_and_the_listeners_share_what_is_left() {
        let both = config(6, "[webhook]\n");
        let needed = delivery(&both);
        for (limit, admin, webhook) in [
            (None, share(64, 48), share(1024, 512)),
            (Some(65_536), share(64, 48), share(1024, 512)),
            (Some(needed + 64 + 1024), share(64, 48), share(1024, 512)),
            (Some(needed + 100), share(25, 18), share(75, 37)),
            (Some(needed + 16), share(4, 3), share(12, 6)),
            // Of use even where there is nothing to share: a listener that takes nobody says nothing.
            (Some(needed), share(4, 3), share(4, 2)),
            (Some(0), share(4, 3), share(4, 2)),
        ] {
            let budget = Budget::new(limit, &both);
            assert_eq!((budget.admin, budget.webhook), (admin, Some(webhook)), "{limit:?}");
            assert_eq!(budget.is_enough(limit), budget.admin == share(64, 48), "{limit:?}");
            let taken = budget.delivery + (admin.connections_max + webhook.connections_max) as u64;
            assert!(limit.is_none_or(|limit| taken <= limit || limit < needed + 2 * LISTENER_MIN), "{limit:?}");
        }
        let alone = Budget::new(Some(delivery(&config(6, "")) + 30), &config(6, ""));
        assert_eq!((alone.admin, alone.webhook), (share(30, 22), None), "alone, all of it");
    }

    #[test]
    fn whoever_connects_has_its_part_in_what_delivery_needs() {
        let needs = |instances, more: &str| delivery(&config(instances, more));
        let six = needs(6, "");
        assert_eq!(needs(106, "") - six, 100 * POLLED_INSTANCE);
        let chatapp = "[chatapp]\nemail = 'a@example.com'\npassword = 'p'\napp_id = 'app_1_1'\nstate_dir = '/tmp/x'\n";
        assert_eq!(needs(6, chatapp) - six, CHATAPP);
        assert_eq!(needs(6, "[kafka]\nbrokers = 'a:1,b:1,c:1,d:1,e:1'\n") - six, 2 * BROKER);
        assert_eq!(needs(6, "[schema_registry]\nurl = 'http://127.0.0.1:1'\n") - six, SERVICE);
    }
}
