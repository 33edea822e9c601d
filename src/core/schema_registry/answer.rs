//! What a schema registry's answer means and what to do about it. Plain functions.

use serde::Deserialize;

use super::RegistryError;

/// The registry's own message is repeated up to this length. A list of incompatibilities can be very long.
const MESSAGE_CHARS_MAX: usize = 500;

/// Reads the id from an answer about `subject`. `registering` tells whether the request was to register the schema or
/// to find it. `clean` makes the registry's message safe to show.
pub(super) fn schema_id(
    status: u16,
    body: &[u8],
    subject: &str,
    registering: bool,
    clean: &dyn Fn(&str) -> String,
) -> Result<u32, RegistryError> {
    #[derive(Deserialize)]
    struct Registered {
        id: u32,
    }

    if (200..300).contains(&status) {
        return serde_json::from_slice::<Registered>(body).map(|registered| registered.id).map_err(|_| {
            RegistryError::Refused(format!(
                "it answers {status} without a schema id: is schema_registry.url the address of Confluent's API \
                 (for Apicurio it ends in /apis/ccompat/v7)?"
            ))
        });
    }
    let Said { code, message } = Said::read(body, clean);
    let advice = match (status, code) {
        (408 | 429 | 500.., _) => return Err(RegistryError::Unavailable(format!("it answers {status}{message}"))),
        (300..=399, _) => "it redirects: set schema_registry.url to where that leads".to_owned(),
        (401, _) => "it does not take the credentials: mend schema_registry.username and password, or token".to_owned(),
        (403, _) if registering => format!(
            "this user may not write subject {subject}: let it, or register the schema (`chatbridge schema event`) by \
             other means and set schema_registry.register = false"
        ),
        (403, _) => format!("this user may not read subject {subject}: let it"),
        (404, Some(40401 | 40403)) if !registering => {
            return Err(RegistryError::NotRegistered(format!(
                "subject {subject} does not have this version's schema: register what `chatbridge schema event` prints, \
                 or set schema_registry.register = true. It answered {status}{message}"
            )));
        }
        (404 | 405, _) => {
            "there is no such API: mend schema_registry.url (for Apicurio it ends in /apis/ccompat/v7)".to_owned()
        }
        (409, _) => format!(
            "the schema is not compatible with what subject {subject} holds. If that is an earlier chatbridge's: events \
             gain fields and words, which the subject's compatibility has to allow (NONE; PUT /config/{subject}). \
             If it is somebody else's: give chatbridge a topic of its own"
        ),
        (422, _) => "it does not take the schema: JSON Schema (draft 2020-12) has to be among its types".to_owned(),
        _ => "that is no answer this version knows".to_owned(),
    };
    Err(RegistryError::Refused(format!("{advice}. It answered {status}{message}")))
}

/// The registry's reason for a refusal.
struct Said {
    code: Option<u32>,
    /// `: …`, or empty.
    message: String,
}

impl Said {
    fn read(body: &[u8], clean: &dyn Fn(&str) -> String) -> Self {
        #[derive(Deserialize)]
        struct Refusal {
            error_code: Option<u32>,
            message: Option<String>,
        }
        let refusal = serde_json::from_slice::<Refusal>(body).ok();
        let code = refusal.as_ref().and_then(|refusal| refusal.error_code);
        let message = refusal.and_then(|refusal| refusal.message).unwrap_or_default();
        let message: String = clean(&message).chars().take(MESSAGE_CHARS_MAX).collect();
        Self { code, message: if message.is_empty() { message } else { format!(": {message}") } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, body: &str, registering: bool, expected: &str) {
        let said = match schema_id(status, body.as_bytes(), "chat-events-value", registering, &crate::fit::line) {
            Ok(id) => format!("id {id}"),
            Err(RegistryError::Unavailable(why)) => format!("later: {why}"),
            Err(RegistryError::Refused(why)) => format!("refused: {why}"),
            Err(RegistryError::NotRegistered(why)) => format!("not registered: {why}"),
        };
        let mut from = 0;
        for part in expected.split('*') {
            let at = said[from..].find(part).unwrap_or_else(|| panic!("{status} {body}: {said}"));
            from += at + part.len();
        }
    }

    #[test]
    fn an_answer_is_an_id_a_later_or_something_to_do() {
        for (status, body, expected) in [
            (200, r#"{"id":7}"#, "id 7"),
            (200, r#"{"id":7,"version":1,"subject":"x"}"#, "id 7"),
            (200, "<html>", "refused: *without a schema id*ccompat"),
            (200, r#"{"id":-1}"#, "refused: *without a schema id"),
            (301, "", "refused: it redirects"),
            (401, r#"{"error_code":40101,"message":"Unauthorized"}"#, "refused: *credentials*401: Unauthorized"),
            (403, "", "refused: *chat-events-value*register = false"),
            (404, "not found", "refused: there is no such API"),
            (409, r#"{"error_code":409,"message":"why\nso"}"#, "refused: *NONE*409: why so"),
            (422, r#"{"message":"bad"}"#, "refused: *2020-12*422: bad"),
            (418, "", "refused: *418"),
            (429, "", "later: it answers 429"),
            (500, r#"{"error_code":50002,"message":"store timed out"}"#, "later: it answers 500: store timed out"),
            (503, "<html>", "later: it answers 503"),
        ] {
            check(status, body, true, expected);
        }
        check(404, r#"{"error_code":40403,"message":"Schema not found"}"#, false, "not registered: *register = true");
        check(404, r#"{"error_code":40401,"message":"Subject not found"}"#, false, "not registered: *register = true");
        check(404, "<html>", false, "refused: there is no such API");
    }
}
