//! DataFusion's state for the statements of a session.

use std::sync::{Arc, Mutex, PoisonError};

use datafusion::execution::session_state::SessionState;

use super::Session;
use crate::access::VisibleEngine;
use crate::planner::SessionFunctions;
use crate::views::SeesTemporary;
use crate::{Engine, functions};

/// The state as the settings of a generation make it.
#[derive(Debug, Default)]
pub(super) struct KnownState(Mutex<Option<(u64, SessionState)>>);

impl Session {
    /// DataFusion's state with this session's settings and no cut: enough for planning.
    pub(super) fn state(&self) -> SessionState {
        let generation = self.settings.generation();
        let mut known = self.known_state.0.lock().unwrap_or_else(PoisonError::into_inner);
        let functions = match &*known {
            Some((of, state)) if *of == generation => return state.clone(),
            Some((_, state)) => state.config().get_extension(),
            None => None,
        };
        let mut state = self.database.base().clone();
        let config = state.config_mut();
        self.settings.apply(config);
        config.set_extension(Arc::clone(&self.access));
        config.set_extension(Arc::new(SeesTemporary(self.backend.pid())));
        config.set_extension(functions.unwrap_or_else(|| Arc::new(self.functions())));
        *known = Some((generation, state.clone()));
        state
    }

    /// The same, ready to run: every table that is read with it is read at the same cut.
    pub(super) fn state_at_cut(&self) -> SessionState {
        let mut state = self.state();
        state.mark_start_execution();
        let cut = self.transaction.cut();
        let cut = cut.unwrap_or_else(|| Arc::new(self.database.engine().cut()));
        state.config_mut().set_extension(cut);
        state
    }

    /// What this session may call, with whose rights it runs now.
    fn functions(&self) -> SessionFunctions {
        let (database, access, backend) = (&self.database, &self.access, &self.backend);
        let engine: Arc<dyn Engine> =
            Arc::new(VisibleEngine::new(Arc::clone(database.engine()), Arc::clone(access)));
        let mut own = functions::of_session(database.activity(), backend, access);
        own.push(functions::frame_image(engine));
        own.extend(database.functions_of(access, &backend.current_user(), backend.pid()));
        SessionFunctions::new(Arc::clone(database.functions()), own)
    }
}
