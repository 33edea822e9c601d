//! Polls and their votes.

use super::super::{owned, phone};
use super::{chat_id, data_object, target};
use crate::event::content::{Poll, PollOption, PollVote, Vote, Voter};
use chatbridge_base::json::Json;

/// The object had another name in 2023; both are accepted.
const DATA_OBJECTS: [&str; 2] = ["pollMessageData", "pollCreationMessage"];

pub(super) fn poll(place: &Json) -> Poll {
    let data = data_object(place, &DATA_OBJECTS);
    Poll {
        name: owned(data.get("name")),
        options: data.get("options").items().iter().map(|option| PollOption { name: option_name(option) }).collect(),
        multiple_answers: data.get("multipleAnswers").boolean(),
        selectable_options_count: data.get("selectableOptionsCount").integer(),
    }
}

pub(super) fn poll_vote(place: &Json) -> PollVote {
    let data = data_object(place, &DATA_OBJECTS);
    PollVote {
        message_id: target(place, data),
        name: owned(data.get("name")),
        votes: data.get("votes").items().iter().map(vote).collect(),
        multiple_answers: data.get("multipleAnswers").boolean(),
    }
}

fn vote(vote: &Json) -> Vote {
    Vote { name: option_name(vote), voters: vote.get("optionVoters").items().iter().map(voter).collect() }
}

fn option_name(option: &Json) -> Option<String> {
    owned(option.get("optionName")).or_else(|| owned(option))
}

/// A voter is an id, or an object that holds one.
fn voter(voter: &Json) -> Voter {
    Voter {
        id: chat_id(voter).or_else(|| chat_id(voter.get("voterWid"))),
        contact_name: owned(voter.get("contactName")),
        phone: phone(voter.get("phoneNumber")),
    }
}
