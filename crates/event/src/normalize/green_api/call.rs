//! The `call` block.

use super::owned;
use crate::event::{Call, CallParticipant, CallState, ChatId, Direction};
use chatbridge_base::json::Json;

pub(super) fn call(direction: Direction, body: &Json) -> Call {
    let word = body.get("status").words();
    let participants: Vec<_> = body.get("participants").items().iter().map(participant).collect();
    Call {
        id: owned(body.get("idMessage")),
        direction,
        state: CallState::from_word(word.unwrap_or_default()),
        status: word.map(str::to_owned),
        // Added later by the call policy and the look-up; the body has neither.
        summary: None,
        caller_name: None,
        video: body.get("isVideo").boolean(),
        group: body.get("isGroup").boolean(),
        participants: (!participants.is_empty()).then_some(participants),
        duration_seconds: body.get("duration").integer(),
    }
}

fn participant(participant: &Json) -> CallParticipant {
    let word = participant.get("status").words();
    CallParticipant {
        id: participant.get("id").words().or_else(|| participant.words()).and_then(ChatId::new),
        state: CallState::from_word(word.unwrap_or_default()),
        status: word.map(str::to_owned),
    }
}
