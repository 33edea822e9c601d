//! Tokens for whoever may look on and not act.

use super::*;
use crate::chatapp::tokens::TokenFile;

/// A state folder; gone with the test.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("chatbridge-borrowed-{:x}", fastrand::u64(..))))
    }

    fn config(&self, lines: &str) -> ChatApp {
        ChatApp { state_dir: self.0.clone(), ..config(lines) }
    }

    /// As a bridge left it whose token ends in so many seconds.
    fn stored(&self, scene: &Scene, lines: &str, ends_in: i64) -> String {
        let ends = scene.now() + SignedDuration::from_secs(ends_in);
        let pair = Pair {
            access: Some("stored-a".to_owned().into()),
            access_ends: Some(ends),
            refresh: Some("stored-r".to_owned().into()),
            refresh_ends: None,
            cabinet_user: Some("685".to_owned()),
            made_at: None,
        };
        let state = State { pair: Some(pair), ..State::default() };
        let text = state.to_json(&state::origin(&self.config(lines)));
        TokenFile::in_folder(&self.0).store(&text).expect("stored");
        text
    }

    fn borrow(&self, scene: &Scene, lines: &str) -> Borrowed<Scene> {
        let clock = scene.clone();
        Tokens::borrow(scene.clone(), &self.config(lines), move || clock.clock()).expect("readable")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_borrowed_token_is_used_to_its_last_second_and_never_renewed() {
    for lines in [LOGIN, GIVEN, &format!("{LOGIN}{GIVEN}")] {
        let (folder, scene) = (Folder::new(), Scene::new());
        // Any bridge would renew it by now.
        let text = folder.stored(&scene, lines, 10);
        let Borrowed::Token { tokens, is_stored: true } = folder.borrow(&scene, lines) else { panic!("a token") };
        let token = tokens.access().await.expect("good");
        assert_eq!(token.text().expose_secret(), "stored-a");
        assert_eq!(tokens.view().cabinet_user.as_deref(), Some("685"));
        for _ in 0..2 {
            let refused = tokens.renewed(&token).await.expect_err("nothing to renew it with");
            assert!(matches!(refused, TokenError::NeedsOperator(_)), "{refused}");
        }
        sleep(Duration::from_secs(11)).await;
        tokens.access().await.expect_err("ended");
        assert_eq!(scene.asked(), Vec::<String>::new());
        let left = TokenFile::in_folder(&folder.0).load().expect("readable");
        assert_eq!(left.as_deref(), Some(text.as_bytes()), "nothing is written");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_there_is_what_a_bridge_would_take_up() {
    let (folder, scene) = (Folder::new(), Scene::new());
    assert!(matches!(folder.borrow(&scene, LOGIN), Borrowed::Nothing));
    assert!(!folder.0.exists(), "nothing is made");
    let Borrowed::Token { tokens, is_stored: false } = folder.borrow(&scene, GIVEN) else { panic!("a token") };
    assert_eq!(tokens.access().await.expect("good").text().expose_secret(), "given-a");
    folder.stored(&scene, GIVEN, 0);
    assert!(matches!(folder.borrow(&scene, GIVEN), Borrowed::Ended(at) if at == scene.now()));
    assert!(matches!(folder.borrow(&scene, LOGIN), Borrowed::Nothing), "those of another account are not this one's");
    std::fs::write(folder.0.join("chatapp-tokens.json"), "{").expect("writable");
    assert!(matches!(folder.borrow(&scene, GIVEN), Borrowed::Token { is_stored: false, .. }));
}
