//! The names of channels, and which there are.

use super::config::ChatAppSimulatorConfig;

/// One messenger of one licence.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Line {
    pub(super) licence: u64,
    pub(super) messenger: String,
}

impl Line {
    pub(super) fn channel(&self) -> String {
        format!("private-v1.licenses.{}.messengers.{}", self.licence, self.messenger)
    }

    /// `None` for any other channel.
    pub(super) fn of_channel(channel: &str) -> Option<Self> {
        let (licence, messenger) = channel.strip_prefix("private-v1.licenses.")?.split_once(".messengers.")?;
        Some(Self { licence: licence.parse().ok()?, messenger: messenger.to_owned() })
    }
}

impl ChatAppSimulatorConfig {
    pub(super) fn lines(&self) -> impl Iterator<Item = Line> {
        self.licences.iter().flat_map(|licence| {
            licence.messengers.iter().map(|messenger| Line { licence: licence.id, messenger: messenger.clone() })
        })
    }

    pub(super) fn company_channel(&self) -> String {
        format!("private-v1.companies.{}", self.company)
    }

    pub(super) fn user_channel(&self) -> String {
        format!("private-v1.users.{}", self.user)
    }

    /// Every channel that events are generated for.
    pub fn generated_channels(&self) -> Vec<String> {
        self.lines().map(|line| line.channel()).chain([self.company_channel(), self.user_channel()]).collect()
    }

    /// Every channel that may be subscribed to.
    pub fn channels(&self) -> Vec<String> {
        let employee = format!("private-v1.companies.{}.users.{}", self.company, self.user);
        let mut channels = self.generated_channels();
        channels.push(employee);
        channels
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_and_its_channel() {
        let line = Line { licence: 1229, messenger: "grWhatsApp".to_owned() };
        assert_eq!(line.channel(), "private-v1.licenses.1229.messengers.grWhatsApp");
        assert_eq!(Line::of_channel(&line.channel()), Some(line));
        assert_eq!(Line::of_channel("private-v1.users.685"), None);
        assert_eq!(Line::of_channel("private-v1.licenses.x.messengers.telegram"), None);
    }
}
