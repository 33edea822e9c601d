//! What a person reads in the chat about a call, as support desks want it.

use crate::config::{CallPolicy, Language};
use chatbridge_event::event::{Call, CallState, Direction};

/// One line for the chat, or `None` if the call's state is unknown: a wrong guess would stay in somebody's chat
/// history.
///
/// A refused call has two wordings. With [`CallPolicy::Outcome`] every call that was not answered is "missed". With the
/// other policies a refused call is told apart from a missed one.
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
        // Outgoing calls get their own wording: they cannot be "missed" on our side.
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
