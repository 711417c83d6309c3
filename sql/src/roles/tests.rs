//! Roles without a database around them.

use std::collections::BTreeSet;

use super::*;

fn role(member_of: &[&str], grants: &[Grant]) -> Role {
    Role {
        login: true,
        member_of: member_of.iter().map(ToString::to_string).collect(),
        grants: grants.iter().cloned().collect(),
        ..Role::default()
    }
}

fn with(new: &[(&str, Role)]) -> Roles {
    let roles = Roles::open(None).expect("needs no file");
    roles
        .change(|state| {
            state.extend(new.iter().map(|(name, role)| ((*name).to_owned(), role.clone())));
            Ok(())
        })
        .expect("needs no file");
    roles
}

#[test]
fn grants_add_up_over_memberships() {
    let lobby = Grant::Source("lobby".into());
    let street = Grant::Source("street".into());
    let roles = with(&[
        ("guards", role(&[], &[lobby])),
        ("guard", role(&["guards"], &[street])),
        ("analyst", role(&[READER], &[])),
        ("admin", role(&[ADMIN], &[])),
        ("nobody", role(&[], &[])),
    ]);
    let both = Rows::OfSources(BTreeSet::from(["lobby".into(), "street".into()]));
    let guard = roles.privileges("guard").expect("exists");
    assert_eq!(guard.rows_of("public", "frames"), Some(both));
    assert!(!guard.is_operator && !guard.is_admin);
    let analyst = roles.privileges("analyst").expect("exists");
    assert_eq!(analyst.rows_of("vigil_catalog", "sources"), Some(Rows::All));
    assert!(!analyst.is_operator);
    let admin = roles.privileges("admin").expect("exists");
    assert!(admin.is_admin && admin.is_operator && admin.may_read_something());
    let nobody = roles.privileges("nobody").expect("exists");
    assert_eq!(nobody.rows_of("public", "frames"), None);
    assert_eq!(roles.privileges("noone").expect_err("does not exist").sqlstate(), "28000");
    assert_eq!(roles.privileges(PUBLIC).expect_err("is no role").sqlstate(), "28000");
}

#[test]
fn a_table_and_a_schema_are_granted_whole() {
    let table = Grant::Table("public".into(), "frames".into());
    let schema = Grant::Schema("vigil_catalog".into());
    let roles = with(&[("a", role(&[], &[table, schema]))]);
    let privileges = roles.privileges("a").expect("exists");
    assert_eq!(privileges.rows_of("public", "frames"), Some(Rows::All));
    assert_eq!(privileges.rows_of("public", "tracks"), None);
    assert_eq!(privileges.rows_of("vigil_catalog", "models"), Some(Rows::All));
}

#[test]
fn what_is_kept_comes_back() {
    let folder = std::env::temp_dir().join(format!("vigil-roles-{}", std::process::id()));
    let path = folder.join("roles.json");
    let roles = Roles::open(Some(&path)).expect("there is no file yet");
    assert!(!roles.requires_login());
    roles
        .change(|state| {
            let mut new = role(&[READER], &[Grant::Source("lobby".into())]);
            new.verifier = Some(Verifier::of_password("secret").map_err(no_randomness)?);
            new.oid = next_oid(state);
            state.insert("guard".into(), new);
            Ok(())
        })
        .expect("the folder can be made");
    let text = std::fs::read_to_string(&path).expect("is written");
    assert!(!text.contains("\"secret\""), "{text}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&path).expect("is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let again = Roles::open(Some(&path)).expect("is one of ours");
    assert_eq!(again.all(), roles.all());
    assert!(again.requires_login() && !again.has_admin());
    assert_eq!(again.verifier("nobody"), roles.verifier("nobody"));
    std::fs::write(&path, "{}").expect("can be written");
    assert_eq!(Roles::open(Some(&path)).expect_err("is none of ours").sqlstate(), "58030");
    std::fs::remove_dir_all(&folder).expect("is ours");
}

#[test]
fn a_change_that_fails_changes_nothing() {
    let roles = with(&[]);
    let before = roles.all();
    let failed: Result<(), _> = roles.change(|state| {
        state.clear();
        Err(SqlError::Canceled)
    });
    assert!(failed.is_err());
    assert_eq!(roles.all(), before);
}

#[test]
fn circles_are_seen() {
    let roles = with(&[("a", role(&["b"], &[])), ("b", role(&["c"], &[])), ("c", Role::default())]);
    let state = roles.all();
    assert!(would_be_circular(&state, "a", "c"));
    assert!(would_be_circular(&state, "a", "a"));
    assert!(!would_be_circular(&state, "c", "a"));
}
