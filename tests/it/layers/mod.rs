/// Rootfs with packages in them, and what their layers hold.
mod made;

/// Whatever the cut, the layers are the rootfs, from every source and on every base.
mod cut;

/// One recipe more or less, and everything else stays.
mod updates;

/// Recipes are known from a map and from every kind of database.
mod owners;
