//! The meaning of close codes and error codes.

/// When to connect again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// 4200 to 4299, and a silent connection: at once, the first time.
    AtOnce,
    /// 4100 to 4199, and any network failure: after a growing wait.
    BackOff,
    /// 4000 to 4099: this client should not come back unchanged. It is tried again all the same, slowly and with a
    /// warning, because the cause may be removed on the server's side.
    Slow,
}

/// The rule after a close with `code`, or without one.
pub(super) fn after_close(code: Option<u16>) -> Rule {
    match code {
        Some(4000..=4099) => Rule::Slow,
        Some(4200..=4299) => Rule::AtOnce,
        // No code (1006), WebSocket's own codes, 41xx, and codes that are not defined for a close.
        _ => Rule::BackOff,
    }
}

/// The rule after an error frame with `code`; `None` if the connection goes on.
///
/// Some servers send the frame and leave the socket open, so it counts as the close that should follow.
pub(super) fn after_error(code: Option<u16>) -> Option<Rule> {
    match code {
        Some(4000..=4299) => Some(after_close(code)),
        _ => None,
    }
}

/// What an operator can do about `code`.
pub(super) fn advice(code: u16) -> &'static str {
    match code {
        4000 => "the server takes only TLS: the socket's URL must begin with wss://",
        4001 => "the server does not know the app key",
        4003 => "the app is disabled on the server",
        4004 => "the app has used up its connections",
        4005 => "the server knows no such path: look at the socket's URL",
        4006..=4008 => "the server does not speak version 7 of the Pusher protocol",
        4009 => "the server does not take this connection (origin, user or sign-in)",
        4100 => "the server is at its capacity",
        4200 => "the server restarts",
        4201 => "the server heard nothing of this client",
        4202 => "the server ended an idle connection",
        _ => match after_close(Some(code)) {
            Rule::Slow => "the server wants this client to change something",
            Rule::BackOff | Rule::AtOnce => "the server ended the connection",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_range_has_its_rule() {
        for (codes, close, error) in [
            (4000..=4099, Rule::Slow, Some(Rule::Slow)),
            (4100..=4199, Rule::BackOff, Some(Rule::BackOff)),
            (4200..=4299, Rule::AtOnce, Some(Rule::AtOnce)),
            (4300..=4399, Rule::BackOff, None),
            (1000..=1015, Rule::BackOff, None),
            (3000..=3999, Rule::BackOff, None),
            (4400..=u16::MAX, Rule::BackOff, None),
            (0..=999, Rule::BackOff, None),
        ] {
            for code in codes {
                assert_eq!(after_close(Some(code)), close, "close {code}");
                assert_eq!(after_error(Some(code)), error, "error {code}");
            }
        }
        assert_eq!(after_close(None), Rule::BackOff);
        assert_eq!(after_error(None), None);
    }
}
