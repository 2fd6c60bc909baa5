"""A minimal writer of Gatan DM3 and DM4 files, from the published description of the format."""

import struct

import numpy as np

_ELEMENT = {"u1": 10, "<u2": 4, "<i2": 2, "<i4": 3, "<f4": 6, "<f8": 7}
_IMAGE_TYPE = {"uint8": 6, "uint16": 10, "int16": 1, "int32": 7, "float32": 2}


class DmFile:
    """Builds one image with its calibration and tags; `version` is 3 or 4."""

    def __init__(self, version):
        self.version = version

    def word(self, value):
        return struct.pack(">q" if self.version == 4 else ">l", value)

    def group(self, tags):
        body = b"".join(self.tag(name, value) for name, value in tags.items())
        return b"\x00\x00", self.word(len(tags)) + body

    def tag(self, name, value):
        label = name.encode()
        head = struct.pack(">bh", 20 if isinstance(value, dict) else 21, len(label)) + label
        if isinstance(value, dict):
            flags, rest = self.group(value)
            size = self.word(len(rest)) if self.version == 4 else b""
            return head + flags + size + rest
        payload = b"%%%%" + self.data(value)
        return head + (self.word(len(payload)) if self.version == 4 else b"") + payload

    def data(self, value):
        if isinstance(value, str):
            value = np.frombuffer(value.encode("utf-16-le"), "<u2")
        if isinstance(value, np.ndarray):
            code = _ELEMENT.get(value.dtype.str.replace("|", ""), 10)
            return b"".join(map(self.word, [3, 20, code, value.size])) + value.tobytes()
        if isinstance(value, float):
            return self.word(1) + self.word(7) + struct.pack("<d", value)
        return self.word(1) + self.word(3) + struct.pack("<l", value)

    def build(self, pixels, scale=None, unit="nm", tags=None):
        shape = pixels.shape
        axis = {"Origin": 0.0, "Scale": 1.0 if scale is None else scale, "Units": unit}
        image = {
            "ImageData": {
                "Calibrations": {
                    "Brightness": {"Origin": 0.0, "Scale": 1.0, "Units": ""},
                    "Dimension": {f"TagGroup{i}": dict(axis) for i in range(len(shape))},
                },
                "Data": pixels,
                "DataType": _IMAGE_TYPE[pixels.dtype.name],
                "Dimensions": {f"Data{i}": n for i, n in enumerate(reversed(shape))},
                "PixelDepth": pixels.dtype.itemsize,
            },
            "ImageTags": tags or {},
            "Name": "test",
        }
        flags, rest = self.group({"ImageList": {"TagGroup0": image}})
        body = flags + rest
        head = struct.pack(">l", self.version) + self.word(len(body)) + struct.pack(">l", 1)
        return head + body + bytes(8)
