/// Rootfs with packages in them, and what their layers hold.
mod made;

/// Whatever the cut, the layers are the rootfs, from every source and on every base.
mod cut;

/// One recipe more or less, and everything else stays.
mod updates;

/// A plan can be made, learns from what was released, and says what an update costs.
mod plan;

/// Recipes are known from a map and from every kind of database.
mod owners;
