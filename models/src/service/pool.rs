//! The loaded models of one kind: a name goes in, the model's worker comes out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use super::starter::Starter;
use super::worker::{Kind, LoadedModel, Worker};
use super::{OpenOptions, ServiceOptions};
use crate::{ModelError, Registry};

/// A place for one model, locked while the model is loaded.
type Slot<K> = Arc<Mutex<Option<Arc<Worker<K>>>>>;

/// What a service opens its models with.
pub(super) struct Opening<'a> {
    pub(super) registry: Arc<Registry>,
    pub(super) options: &'a ServiceOptions,
    pub(super) starter: &'a Starter,
}

/// Workers by model id and how the model was opened. Dropping the pool stops them.
pub(super) struct Pool<K: Kind> {
    slots: Mutex<BTreeMap<(String, OpenOptions), Slot<K>>>,
}

impl<K: Kind> Default for Pool<K> {
    fn default() -> Self {
        Self { slots: Mutex::default() }
    }
}

impl<K: Kind> Pool<K> {
    /// The worker of a model, started if there is none. Loading one model does not hold up those
    /// who ask for another.
    pub(super) fn get(
        &self,
        opening: &Opening<'_>,
        name: &str,
        open: OpenOptions,
    ) -> Result<Arc<Worker<K>>, ModelError> {
        let entry = opening.registry.entry(name)?;
        if entry.task != K::TASK {
            return Err(ModelError::WrongTask {
                name: entry.name.clone(),
                expected: K::TASK.to_string(),
                found: entry.task.to_string(),
            });
        }
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(slots.entry((entry.id(), open)).or_default())
        };
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(worker) = &*slot {
            return Ok(Arc::clone(worker));
        }
        let start = {
            let (registry, options) = (Arc::clone(&opening.registry), *opening.options);
            let entry = entry.clone();
            move || Worker::start(&registry, &entry, &options, open)
        };
        let started = opening.starter.run(start).unwrap_or_else(|| {
            let detail = "It could not be loaded on a thread of its own.".to_owned();
            Err(ModelError::Run { name: entry.id(), detail })
        });
        let worker = Arc::new(started?);
        Ok(Arc::clone(slot.insert(worker)))
    }

    /// Stops the workers of a model that is no more.
    pub(super) fn forget(&self, id: &str) {
        let mut gone = Vec::new();
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|(of, _), slot| {
            if of == id {
                gone.push(Arc::clone(slot));
            }
            of != id
        });
        drop(slots);
        for slot in gone {
            if let Some(worker) = &*slot.lock().unwrap_or_else(PoisonError::into_inner) {
                worker.stop();
            }
        }
    }

    /// The counters of the models that are loaded; one that is being loaded is not yet.
    pub(super) fn loaded(&self) -> Vec<LoadedModel> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let worker = |slot: &Slot<K>| match slot.try_lock() {
            Ok(slot) => slot.as_ref().map(|worker| worker.loaded()),
            Err(TryLockError::Poisoned(slot)) => {
                slot.into_inner().as_ref().map(|worker| worker.loaded())
            }
            Err(TryLockError::WouldBlock) => None,
        };
        slots.values().filter_map(worker).collect()
    }
}

impl<K: Kind> Drop for Pool<K> {
    fn drop(&mut self) {
        let slots = self.slots.get_mut().unwrap_or_else(PoisonError::into_inner);
        for slot in slots.values() {
            if let Some(worker) = &*slot.lock().unwrap_or_else(PoisonError::into_inner) {
                worker.stop();
            }
        }
    }
}
