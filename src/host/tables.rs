//! Stubs for the state tables. This host has none; every function of the vtables fails as the API allows.

use std::ffi::c_char;
use std::ptr::{NonNull, null, null_mut};

use falco_plugin_api as api;

/// The tables argument of `init`. Its pointers are static; the struct itself must outlive only the call.
pub(super) fn init_input() -> api::ss_plugin_init_tables_input {
    api::ss_plugin_init_tables_input {
        list_tables: Some(list_tables),
        get_table: Some(get_table),
        add_table: Some(add_table),
        fields: api::ss_plugin_table_fields_vtable {
            list_table_fields: Some(list_fields),
            get_table_field: Some(field),
            add_table_field: Some(field),
        },
        fields_ext: (&raw const FIELDS).cast_mut(),
        reader_ext: reader_ext(),
        writer_ext: (&raw const WRITER).cast_mut(),
    }
}

/// The reader argument of `extract_fields`, passed by value.
pub(super) fn reader() -> api::ss_plugin_table_reader_vtable {
    api::ss_plugin_table_reader_vtable {
        get_table_name: READER.get_table_name,
        get_table_size: READER.get_table_size,
        get_table_entry: READER.get_table_entry,
        read_entry_field: READER.read_entry_field,
    }
}

/// The extended reader argument of `extract_fields`, passed by pointer. Plugins do not write to it.
pub(super) fn reader_ext() -> *mut api::ss_plugin_table_reader_vtable_ext {
    (&raw const READER).cast_mut()
}

/// The owner's error message after a failure of any of these functions.
pub(super) unsafe extern "C-unwind" fn last_error(_: *mut api::ss_plugin_owner_t) -> *const c_char {
    c"this host has no state tables".as_ptr()
}

static FIELDS: api::ss_plugin_table_fields_vtable_ext = api::ss_plugin_table_fields_vtable_ext {
    list_table_fields: Some(list_fields),
    get_table_field: Some(field),
    add_table_field: Some(field),
};

static READER: api::ss_plugin_table_reader_vtable_ext = api::ss_plugin_table_reader_vtable_ext {
    get_table_name: Some(name),
    get_table_size: Some(size),
    get_table_entry: Some(entry),
    read_entry_field: Some(read),
    release_table_entry: Some(discard),
    iterate_entries: Some(iterate),
};

static WRITER: api::ss_plugin_table_writer_vtable_ext = api::ss_plugin_table_writer_vtable_ext {
    clear_table: Some(clear),
    erase_table_entry: Some(erase),
    create_table_entry: Some(create),
    destroy_table_entry: Some(discard),
    add_table_entry: Some(add_entry),
    write_entry_field: Some(write),
};

type OwnerPtr = *mut api::ss_plugin_owner_t;
type TablePtr = *mut api::ss_plugin_table_t;
type EntryPtr = *mut api::ss_plugin_table_entry_t;
type AccessorPtr = *mut api::ss_plugin_table_field_t;
type KeyPtr = *const api::ss_plugin_state_data;

const FAILURE: api::ss_plugin_rc = api::ss_plugin_rc_SS_PLUGIN_FAILURE;

unsafe extern "C-unwind" fn list_tables(
    _: OwnerPtr,
    count: *mut u32,
) -> *mut api::ss_plugin_table_info {
    if let Some(count) = NonNull::new(count) {
        // SAFETY: by the API's contract the plugin passes a writable counter; NULL was excluded above.
        unsafe { count.write(0) };
    }
    // NULL would mean a failure; an empty list needs some other address.
    NonNull::dangling().as_ptr()
}

unsafe extern "C-unwind" fn get_table(
    _: OwnerPtr,
    _: *const c_char,
    _: api::ss_plugin_state_type,
) -> TablePtr {
    null_mut()
}

unsafe extern "C-unwind" fn add_table(
    _: OwnerPtr,
    _: *const api::ss_plugin_table_input,
) -> api::ss_plugin_rc {
    FAILURE
}

unsafe extern "C-unwind" fn list_fields(
    _: TablePtr,
    count: *mut u32,
) -> *const api::ss_plugin_table_fieldinfo {
    if let Some(count) = NonNull::new(count) {
        // SAFETY: by the API's contract the plugin passes a writable counter; NULL was excluded above.
        unsafe { count.write(0) };
    }
    null()
}

unsafe extern "C-unwind" fn field(
    _: TablePtr,
    _: *const c_char,
    _: api::ss_plugin_state_type,
) -> AccessorPtr {
    null_mut()
}

unsafe extern "C-unwind" fn name(_: TablePtr) -> *const c_char {
    null()
}

unsafe extern "C-unwind" fn size(_: TablePtr) -> u64 {
    u64::MAX
}

unsafe extern "C-unwind" fn entry(_: TablePtr, _: KeyPtr) -> EntryPtr {
    null_mut()
}

unsafe extern "C-unwind" fn read(
    _: TablePtr,
    _: EntryPtr,
    _: *const api::ss_plugin_table_field_t,
    _: *mut api::ss_plugin_state_data,
) -> api::ss_plugin_rc {
    FAILURE
}

unsafe extern "C-unwind" fn discard(_: TablePtr, _: EntryPtr) {}

unsafe extern "C-unwind" fn iterate(
    _: TablePtr,
    _: api::ss_plugin_table_iterator_func_t,
    _: *mut api::ss_plugin_table_iterator_state_t,
) -> api::ss_plugin_bool {
    0
}

unsafe extern "C-unwind" fn clear(_: TablePtr) -> api::ss_plugin_rc {
    FAILURE
}

unsafe extern "C-unwind" fn erase(_: TablePtr, _: KeyPtr) -> api::ss_plugin_rc {
    FAILURE
}

unsafe extern "C-unwind" fn create(_: TablePtr) -> EntryPtr {
    null_mut()
}

unsafe extern "C-unwind" fn add_entry(_: TablePtr, _: KeyPtr, _: EntryPtr) -> EntryPtr {
    null_mut()
}

unsafe extern "C-unwind" fn write(
    _: TablePtr,
    _: EntryPtr,
    _: *const api::ss_plugin_table_field_t,
    _: KeyPtr,
) -> api::ss_plugin_rc {
    FAILURE
}
