"""Names by which a folder is known as a Zarr group or array.

Out of scope: reading them (`volume_zarr`), whose library takes half a second to import.
"""

METADATA_FILES = ("zarr.json", ".zarray", ".zgroup")
