//! What a row consists of. All fields are text, and an empty one is an absent one.

/// How many fields a row has.
pub const FIELD_COUNT: usize = 26;

/// Names of the fields, in the order of [`crate::Rows`]'s columns.
pub const FIELDS: [&str; FIELD_COUNT] = [
    "id",
    "name",
    "manufacturer",
    "model",
    "owner",
    "civil_code",
    "block",
    "address",
    "parental",
    "parent_id",
    "safety_way",
    "register_way",
    "secrecy",
    "status",
    "longitude",
    "latitude",
    "business_group_id",
    "ptz_type",
    "point_type",
    "room_type",
    "use_type",
    "supply_light_type",
    "direction_type",
    "resolution",
    "coordinates",
    "branch",
];

/// What the peer calls it: trimmed, opaque.
pub const ID: usize = 0;
pub const NAME: usize = 1;
pub const MANUFACTURER: usize = 2;
pub const MODEL: usize = 3;
pub const OWNER: usize = 4;
pub const CIVIL_CODE: usize = 5;
pub const BLOCK: usize = 6;
pub const ADDRESS: usize = 7;
pub const PARENTAL: usize = 8;
/// As the peer wrote it: one or several ids joined by "/".
pub const PARENT_ID: usize = 9;
pub const SAFETY_WAY: usize = 10;
pub const REGISTER_WAY: usize = 11;
pub const SECRECY: usize = 12;
/// "ON", "OFF", or empty where the peer did not say.
pub const STATUS: usize = 13;
pub const LONGITUDE: usize = 14;
pub const LATITUDE: usize = 15;
pub const BUSINESS_GROUP_ID: usize = 16;
pub const PTZ_TYPE: usize = 17;
pub const POINT_TYPE: usize = 18;
pub const ROOM_TYPE: usize = 19;
pub const USE_TYPE: usize = 20;
pub const SUPPLY_LIGHT_TYPE: usize = 21;
pub const DIRECTION_TYPE: usize = 22;
pub const RESOLUTION: usize = 23;
/// The system that longitude and latitude are in, by what the peer is configured to use; empty
/// where there is no place (Q32).
pub const COORDINATES: usize = 24;
/// Ids of the ancestors, nearest first, joined by "/"; [`crate::Index`] computes it.
pub const BRANCH: usize = 25;

/// The number of the field that is called `name`.
pub fn number(name: &str) -> Option<usize> {
    FIELDS.iter().position(|field| *field == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_and_names_agree() {
        for (constant, name) in [
            (ID, "id"),
            (CIVIL_CODE, "civil_code"),
            (PARENT_ID, "parent_id"),
            (STATUS, "status"),
            (BUSINESS_GROUP_ID, "business_group_id"),
            (RESOLUTION, "resolution"),
            (COORDINATES, "coordinates"),
            (BRANCH, "branch"),
        ] {
            assert_eq!(number(name), Some(constant));
        }
        assert_eq!(number("password"), None);
    }
}
