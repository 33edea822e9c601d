//! What a person reads in the chat about a call, as support desks want it.

use crate::config::{CallPolicy, Language};
use chatbridge_event::event::{Call, CallState, Direction};

/// One line for the chat, or nothing where upstream's word for the call is unknown: a guess would be written into
/// somebody's history.
///
/// Seed 004 words a refused call in two ways. Who records outcomes only (its way 3) is told "missed" for everything
/// that was not answered; who follows every state (way 4) is told a refusal from a call nobody took.
pub(super) fn summary(call: &Call, language: Language, policy: CallPolicy) -> Option<&'static str> {
    let state = match call.state {
        CallState::Rejected if policy == CallPolicy::Outcome => CallState::Missed,
        state => state,
    };
    Some(match (language, call.direction, state) {
        (_, Direction::Unknown, _) | (_, _, CallState::Unknown | CallState::Invalid) => return None,
        (Language::Ru, Direction::Incoming, CallState::Ringing) => "Входящий вызов",
        (Language::Ru, Direction::Incoming, CallState::Answered) => "Отвеченный звонок",
        (Language::Ru, Direction::Incoming, CallState::Rejected) => "Сброшенный звонок",
        (Language::Ru, Direction::Incoming, CallState::Missed) => "Пропущенный звонок",
        (Language::En, Direction::Incoming, CallState::Ringing) => "Incoming call",
        (Language::En, Direction::Incoming, CallState::Answered) => "Answered call",
        (Language::En, Direction::Incoming, CallState::Rejected) => "Rejected call",
        (Language::En, Direction::Incoming, CallState::Missed) => "Missed call",
        // Seed 004 speaks of incoming calls; these are our own words. A call of ours cannot be missed by us.
        (Language::Ru, Direction::Outgoing, CallState::Ringing) => "Исходящий вызов",
        (Language::Ru, Direction::Outgoing, CallState::Answered) => "Отвеченный исходящий звонок",
        (Language::Ru, Direction::Outgoing, CallState::Rejected) => "Сброшенный исходящий звонок",
        (Language::Ru, Direction::Outgoing, CallState::Missed) => "Исходящий звонок без ответа",
        (Language::En, Direction::Outgoing, CallState::Ringing) => "Outgoing call",
        (Language::En, Direction::Outgoing, CallState::Answered) => "Answered outgoing call",
        (Language::En, Direction::Outgoing, CallState::Rejected) => "Rejected outgoing call",
        (Language::En, Direction::Outgoing, CallState::Missed) => "Unanswered outgoing call",
    })
}
