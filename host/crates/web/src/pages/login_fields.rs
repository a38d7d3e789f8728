//! The fields that a plugin asks for, as rows of a form.

use nexus_plugin_traits::auth::{Field, FieldKind};

/// `FormField` is one row of a form.
pub(crate) struct FormField {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) help: Option<String>,
    pub(super) kind: &'static str,
    pub(super) autocomplete: &'static str,
    pub(super) value: String,
    pub(super) error: Option<String>,
    pub(super) first: bool,
}

impl FormField {
    pub(in crate::pages) fn list(
        fields: &[Field],
        typed: &dyn Fn(&str) -> String,
        rejected: Option<(&str, &str)>,
    ) -> Vec<Self> {
        let mut first_free = true;
        let mut rows: Vec<Self> = fields
            .iter()
            .map(|field| {
                let (kind, autocomplete) = match field.kind {
                    FieldKind::Account => ("text", "username"),
                    FieldKind::NewPassword => ("password", "new-password"),
                    FieldKind::Password => ("password", "current-password"),
                    FieldKind::Code => ("text", "one-time-code"),
                    FieldKind::Text => ("text", "off"),
                };
                // A secret is never written back into a page.
                let value = if field.kind == FieldKind::Account {
                    typed(&field.name)
                } else {
                    String::new()
                };
                Self {
                    name: field.name.clone(),
                    title: field.title.clone(),
                    help: field.help.clone(),
                    kind,
                    autocomplete,
                    value,
                    error: rejected
                        .filter(|(name, _)| *name == field.name)
                        .map(|(_, cause)| cause.to_owned()),
                    first: false,
                }
            })
            .collect();
        let wrong = rows.iter().position(|row| row.error.is_some());
        let empty = rows.iter().position(|row| row.value.is_empty());
        for (index, row) in rows.iter_mut().enumerate() {
            row.first = first_free && wrong.or(empty) == Some(index);
            first_free &= !row.first;
        }
        rows
    }
}
