//! Families: implementations of a task, chosen by the name that the manifest gives.

use crate::ModelError;
use crate::manifest::ModelEntry;

/// The implementation of an entry's family in a task's list.
///
/// # Errors
/// [`ModelError::Manifest`] with the families there are, when the entry's is none of them.
pub(crate) fn find<T: Copy>(
    families: &[(&str, T)],
    task: &str,
    entry: &ModelEntry,
) -> Result<T, ModelError> {
    families.iter().find(|(name, _)| *name == entry.family).map(|&(_, open)| open).ok_or_else(
        || {
            let known: Vec<&str> = families.iter().map(|&(name, _)| name).collect();
            let (id, family, known) = (entry.id(), &entry.family, known.join(", "));
            ModelError::Manifest {
                detail: format!(
                    "Model \"{id}\" is of family \"{family}\"; the {task} families are {known}."
                ),
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::manifest::{self, Task};
    use crate::{captioner, detector, embedder, linker, reid, reranker};

    #[test]
    fn a_manifest_may_name_exactly_the_families_there_are() {
        let mut here = BTreeSet::new();
        here.extend(detector::FAMILIES.map(|(name, _)| (name, Task::Detector)));
        here.extend(reid::FAMILIES.map(|(name, _)| (name, Task::Reid)));
        here.extend(captioner::FAMILIES.map(|(name, _)| (name, Task::Captioner)));
        here.extend(embedder::FAMILIES.map(|(name, _)| (name, Task::Embedder)));
        here.extend(reranker::FAMILIES.map(|(name, _)| (name, Task::Reranker)));
        here.extend(linker::FAMILIES.map(|(name, _)| (name, Task::Linker)));
        assert_eq!(here, manifest::FAMILIES.iter().copied().collect());
    }
}
