"""Holds the codecs under test against Google's implementation of protobuf.

Reads a FileDescriptorSet, then plays rounds over its standard streams: it makes a random message,
sends it in several encodings, reads back what the codecs under test made of each, and compares.
Every frame is a little-endian length of four bytes and that many bytes. A round is

    to the tests:    name of the message, options of JSON, protobuf, JSON
    from the tests:  protobuf, protobuf by way of an owned struct, and JSON from the protobuf,
                     protobuf and JSON from the JSON

where an answer begins with one byte, 1 for a result and 0 for a refusal (with its reason).
"""

import base64
import json
import math
import random
import struct
import sys

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf import any_pb2, duration_pb2, empty_pb2, field_mask_pb2  # noqa: F401
from google.protobuf import struct_pb2, timestamp_pb2, wrappers_pb2  # noqa: F401
from google.protobuf.descriptor import FieldDescriptor as F
from google.protobuf.internal import api_implementation
from google.protobuf.message import DecodeError

PACKAGE = "dreammesh.differential.v1."
NUMBER_MAX = (1 << 29) - 1

INTEGERS = {
    F.TYPE_INT32: (-(1 << 31), (1 << 31) - 1),
    F.TYPE_SINT32: (-(1 << 31), (1 << 31) - 1),
    F.TYPE_SFIXED32: (-(1 << 31), (1 << 31) - 1),
    F.TYPE_UINT32: (0, (1 << 32) - 1),
    F.TYPE_FIXED32: (0, (1 << 32) - 1),
    F.TYPE_INT64: (-(1 << 63), (1 << 63) - 1),
    F.TYPE_SINT64: (-(1 << 63), (1 << 63) - 1),
    F.TYPE_SFIXED64: (-(1 << 63), (1 << 63) - 1),
    F.TYPE_UINT64: (0, (1 << 64) - 1),
    F.TYPE_FIXED64: (0, (1 << 64) - 1),
}
FLOATS = [0.0, -0.0, 1.0, -1.5, 0.1, 1e-40, 3.4028234663852886e38, math.inf, -math.inf, math.nan,
          16777217.0, 5e-324, 1.7976931348623157e308, 1e16, 123456789.125]
FLOAT_TYPES = (F.TYPE_FLOAT, F.TYPE_DOUBLE)
TEXTS = ["", "a", "\u0000\u001f\"\\/\b\f\n\r\t", "é", "漢字", "😀", "x" * 200, "\u2028", "\u007f",
         "null", "NaN", "0", "snake_case"]


def make_float(r, single):
    pick = r.random()
    if pick < 0.5:
        value = r.choice(FLOATS)
    elif pick < 0.75:
        value = struct.unpack("<d", r.randbytes(8))[0]
    else:
        value = r.uniform(-1e6, 1e6)
    if single:
        if pick >= 0.5 and pick < 0.75:
            return struct.unpack("<f", r.randbytes(4))[0]
        if math.isfinite(value) and abs(value) > 3.4028234663852886e38:
            return 1.5
        return struct.unpack("<f", struct.pack("<f", value))[0]
    return value


def make_text(r):
    if r.random() < 0.5:
        return r.choice(TEXTS)
    return "".join(chr(r.choice([r.randrange(32, 127), r.randrange(0xA0, 0xD800)]))
                   for _ in range(r.randrange(40)))


def is_null_value(field):
    return field.enum_type.full_name == "google.protobuf.NullValue"


def make_scalar(r, field):
    kind = field.type
    if kind in INTEGERS:
        low, high = INTEGERS[kind]
        value = r.choice([0, 1, -1, low, high, r.randrange(low, high + 1), r.randrange(-200, 200),
                          1 << r.randrange(63), (1 << r.randrange(1, 63)) - 1])
        return min(max(value, low), high)
    if kind == F.TYPE_BOOL:
        return r.random() < 0.5
    if kind in (F.TYPE_FLOAT, F.TYPE_DOUBLE):
        return make_float(r, kind == F.TYPE_FLOAT)
    if kind == F.TYPE_STRING:
        return make_text(r)
    if kind == F.TYPE_BYTES:
        return r.randbytes(r.choice([0, 1, 2, 3, 4, 20, 200]))
    if kind == F.TYPE_ENUM:
        if is_null_value(field):
            return 0
        return r.choice([value.number for value in field.enum_type.values] + [0, 2, -1, 1 << 30])
    raise AssertionError(kind)


def fill_duration(r, message):
    seconds = r.choice([0, 1, 315576000000, r.randrange(0, 315576000001)])
    nanos = r.choice([0, 1, 999999999, r.randrange(1000) * 1000000, r.randrange(1000000) * 1000])
    if seconds == 315576000000:
        nanos = 0
    sign = r.choice([1, -1])
    message.seconds, message.nanos = sign * seconds, sign * nanos


def fill_timestamp(r, message):
    message.seconds = r.choice([0, -62135596800, 253402300799, r.randrange(-62135596800, 253402300800),
                                r.randrange(-86400, 86400)])
    message.nanos = r.choice([0, 1, 999999999, r.randrange(1000) * 1000000, r.randrange(1000000) * 1000])


def fill_value(r, message, depth):
    kind = r.randrange(6)
    if kind == 0:
        message.null_value = 0
    elif kind == 1:
        value = make_float(r, False)
        message.number_value = value if math.isfinite(value) or r.random() < 0.02 else 1.25
    elif kind == 2:
        message.string_value = make_text(r)
    elif kind == 3:
        message.bool_value = r.random() < 0.5
    elif kind == 4:
        message.struct_value.SetInParent()
        fill_struct(r, message.struct_value, depth - 1)
    else:
        message.list_value.SetInParent()
        fill_list_value(r, message.list_value, depth - 1)


def fill_struct(r, message, depth):
    for _ in range(r.randrange(3) if depth > 0 else 0):
        fill_value(r, message.fields[make_text(r)], depth)


def fill_list_value(r, message, depth):
    for _ in range(r.randrange(3) if depth > 0 else 0):
        fill_value(r, message.values.add(), depth)


def fill_field_mask(r, message):
    word = lambda: "".join(r.choice("abcxyz") for _ in range(r.randrange(1, 5)))
    for _ in range(r.randrange(4)):
        message.paths.append(".".join("_".join(word() for _ in range(r.randrange(1, 4)))
                                      for _ in range(r.randrange(1, 3))))


def fill_any(r, message, depth):
    kind = r.randrange(5)
    if kind == 0:
        return
    if kind == 1:
        held = duration_pb2.Duration()
        fill_duration(r, held)
    elif kind == 2:
        held = struct_pb2.Value()
        fill_value(r, held, 2)
    elif kind == 3:
        held = wrappers_pb2.Int64Value(value=r.randrange(-5, 5))
    else:
        held = MESSAGES["Leaf"]()
        fill(r, held, depth - 1)
    message.Pack(held, deterministic=True)


def fill(r, message, depth):
    name = message.DESCRIPTOR.full_name
    if name == "google.protobuf.Duration":
        return fill_duration(r, message)
    if name == "google.protobuf.Timestamp":
        return fill_timestamp(r, message)
    if name == "google.protobuf.FieldMask":
        return fill_field_mask(r, message)
    if name == "google.protobuf.Struct":
        return fill_struct(r, message, 3)
    if name == "google.protobuf.ListValue":
        return fill_list_value(r, message, 3)
    if name == "google.protobuf.Value":
        return fill_value(r, message, 3)
    if name == "google.protobuf.Any":
        return fill_any(r, message, depth)
    fields = message.DESCRIPTOR.fields
    density = r.choice([0.02, 0.1, 0.3]) if len(fields) > 20 else 0.6
    for field in fields:
        if r.random() < density:
            fill_field(r, message, field, depth)


def fill_field(r, message, field, depth):
    nested = field.message_type
    if nested is not None and is_entry(nested):
        key_field, value_field = nested.fields_by_name["key"], nested.fields_by_name["value"]
        entries = getattr(message, field.name)
        for _ in range(r.randrange(4)):
            key = make_scalar(r, key_field)
            if value_field.message_type is None:
                entries[key] = make_scalar(r, value_field)
            elif depth > 0:
                fill(r, entries[key], depth - 1)
    elif nested is not None and depth <= 0:
        return
    elif field.is_repeated:
        values = getattr(message, field.name)
        for _ in range(r.choice([0, 1, 2, 3, 20 if nested is None else 3])):
            if nested is None:
                values.append(make_scalar(r, field))
            else:
                fill(r, values.add(), depth - 1)
    elif nested is not None:
        inner = getattr(message, field.name)
        inner.SetInParent()
        fill(r, inner, depth - 1)
    else:
        setattr(message, field.name, make_scalar(r, field))


# Protobuf as others may write it.


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def varint(value, r=None):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    # Longer than it need be, but not than ten bytes.
    while r is not None and len(out) < 5 and r.random() < 0.1:
        out[-1] |= 0x80
        out.append(0)
    return bytes(out)


def split(data):
    """The fields of well-formed protobuf without groups: number, wire type, value."""
    fields, at = [], 0
    while at < len(data):
        tag, at = read_varint(data, at)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == 0:
            value, at = read_varint(data, at)
        elif wire_type == 1:
            value, at = data[at:at + 8], at + 8
        elif wire_type == 5:
            value, at = data[at:at + 4], at + 4
        elif wire_type == 2:
            length, at = read_varint(data, at)
            value, at = data[at:at + length], at + length
        else:
            raise ValueError("a group")
        fields.append((number, wire_type, value))
    return fields


def join(r, fields):
    out = bytearray()
    for number, wire_type, value in fields:
        out += varint(number << 3 | wire_type, r)
        if wire_type == 0:
            out += varint(value, r)
        elif wire_type == 2:
            out += varint(len(value), r) + value
        else:
            out += value
    return bytes(out)


PACKED = {F.TYPE_FIXED32: 4, F.TYPE_SFIXED32: 4, F.TYPE_FLOAT: 4,
          F.TYPE_FIXED64: 8, F.TYPE_SFIXED64: 8, F.TYPE_DOUBLE: 8}


def is_entry(descriptor):
    return descriptor.GetOptions().map_entry


def scramble(r, descriptor, data, in_entry=False):
    """Other bytes that mean much the same: reordered, split, repeated, with unknown fields.

    Unknown fields in a map entry make the reference forget the entry; other implementations
    forget the fields, and so do we.
    """
    fields = []
    for number, wire_type, value in split(data):
        field = descriptor.fields_by_number.get(number)
        nested = field.message_type if field is not None else None
        if nested is not None and wire_type == 2:
            value = scramble(r, nested, value, is_entry(nested))
            if r.random() < 0.3 and not field.is_repeated:
                parts = split(value) if b"" != value and is_plain(value) else []
                cut = r.randrange(len(parts) + 1)
                if parts:
                    fields.append((number, 2, join(r, parts[:cut])))
                    value = join(r, parts[cut:])
        elif field is not None and field.is_repeated and wire_type == 2 and r.random() < 0.4 \
                and field.type not in (F.TYPE_STRING, F.TYPE_BYTES):
            fields.extend(unpack(r, field, number, value))
            continue
        fields.append((number, wire_type, value))
    if not in_entry and r.random() < 0.3:
        for _ in range(r.randrange(1, 4)):
            number = r.choice([18, 300, 5000, NUMBER_MAX, r.randrange(1, 250)])
            wire_type = r.choice([0, 1, 2, 5])
            value = {0: r.randrange(1 << 64), 1: r.randbytes(8), 2: r.randbytes(r.randrange(5)),
                     5: r.randbytes(4)}[wire_type]
            fields.append((number, wire_type, value))
    if fields and r.random() < 0.3:
        fields.append(r.choice(fields))
    if r.random() < 0.5:
        r.shuffle(fields)
    data = join(r, fields)
    if not in_entry and r.random() < 0.05:
        data += varint(400 << 3 | 3) + varint(401 << 3 | 3) + b"\x08\x01" + varint(401 << 3 | 4) \
            + varint(400 << 3 | 4)
    return data


def is_plain(data):
    try:
        split(data)
        return True
    except (IndexError, ValueError):
        return False


WIRE_TYPES = {F.TYPE_STRING: 2, F.TYPE_BYTES: 2, F.TYPE_MESSAGE: 2, F.TYPE_FIXED32: 5,
              F.TYPE_SFIXED32: 5, F.TYPE_FLOAT: 5, F.TYPE_FIXED64: 1, F.TYPE_SFIXED64: 1,
              F.TYPE_DOUBLE: 1}


def has_odd_entry(descriptor, data):
    """Whether a map entry has unknown fields (or groups make that hard to tell)."""
    try:
        fields = split(data)
    except (IndexError, ValueError):
        return True
    for number, wire_type, value in fields:
        field = descriptor.fields_by_number.get(number)
        known = field is not None and WIRE_TYPES.get(field.type, 0) == wire_type
        if wire_type in (3, 4) or (is_entry(descriptor) and not known):
            return True
        if known and field.message_type is not None and has_odd_entry(field.message_type, value):
            return True
    return False


def unpack(r, field, number, value):
    """The elements of a packed field, each alone or packed with some of its neighbours."""
    width = PACKED.get(field.type)
    at, elements = 0, []
    while at < len(value):
        if width is None:
            start = at
            _, at = read_varint(value, at)
            elements.append(value[start:at])
        else:
            elements.append(value[at:at + width])
            at += width
    while elements:
        if r.random() < 0.5:
            count = r.randrange(1, len(elements) + 1)
            yield number, 2, b"".join(elements[:count])
        else:
            count = 1
            wire_type = {None: 0, 4: 5, 8: 1}[width]
            single = elements[0] if width else read_varint(elements[0], 0)[0]
            yield number, wire_type, single
        elements = elements[count:]


def mutate(r, data):
    data = bytearray(data)
    for _ in range(r.randrange(1, 4)):
        if not data:
            break
        at = r.randrange(len(data))
        kind = r.randrange(4)
        if kind == 0:
            data[at] ^= 1 << r.randrange(8)
        elif kind == 1:
            del data[at:at + r.randrange(1, 4)]
        elif kind == 2:
            data[at:at] = r.randbytes(r.randrange(1, 4))
        else:
            del data[at:]
    return bytes(data)


# JSON as others may write it.


def shuffle_json(r, value):
    if isinstance(value, dict):
        members = list(value.items())
        r.shuffle(members)
        return {name: shuffle_json(r, member) for name, member in members}
    if isinstance(value, list):
        return [shuffle_json(r, element) for element in value]
    return value


def make_json(r, message):
    text = json_format.MessageToJson(
        message,
        preserving_proto_field_name=r.random() < 0.3,
        use_integers_for_enums=r.random() < 0.3,
        always_print_fields_with_no_presence=r.random() < 0.2,
    )
    value = json.loads(text)
    if r.random() < 0.7:
        value = shuffle_json(r, value)
    text = json.dumps(value, ensure_ascii=r.random() < 0.5, indent=r.choice([None, None, 2]))
    # The reference does not read the shortest form that it writes for the largest float.
    json_format.Parse(text, type(message)())
    return text


class Differences(Exception):
    pass


def read_frame():
    head = sys.stdin.buffer.read(4)
    if len(head) < 4:
        raise EOFError("the tests ended early")
    return sys.stdin.buffer.read(struct.unpack("<I", head)[0])


def write_frame(data):
    sys.stdout.buffer.write(struct.pack("<I", len(data)) + data)


def answer():
    frame = read_frame()
    return (frame[1:], None) if frame[0] == 1 else (None, frame[1:].decode())


def encoded(message):
    return message.SerializeToString(deterministic=True)


def without_unknown(message):
    copy = type(message)()
    copy.CopyFrom(message)
    copy.DiscardUnknownFields()
    return copy


def same(left, right):
    # Messages with NaN are not equal to themselves, their encodings are.
    return encoded(left) == encoded(right)


def is_message_list(field):
    return field.is_repeated and field.message_type is not None and not is_entry(field.message_type)


def difference(left, right):
    """The fields in which two messages differ."""
    found = []
    for field in left.DESCRIPTOR.fields:
        pair = []
        for message in (left, right):
            copy = type(message)()
            if any(known.number == field.number for known, _ in message.ListFields()):
                copy.CopyFrom(message)
                for known, _ in message.ListFields():
                    if known.number != field.number:
                        copy.ClearField(known.name)
                copy.DiscardUnknownFields()
            pair.append(copy)
        nested = field.message_type is not None and not field.is_repeated
        if nested and not same(*pair) and all(copy.HasField(field.name) for copy in pair):
            inner = difference(*(getattr(copy, field.name) for copy in pair))
            found.append(f"{field.name}.{inner}")
        elif is_message_list(field) and not same(*pair):
            lists = [getattr(copy, field.name) for copy in pair]
            inner = [difference(*two) for two in zip(*lists) if not same(*two)]
            found.append(f"{field.name}: {[len(one) for one in lists]} {inner}")
        elif not same(*pair):
            found.append(f"{field.name}: {pair[0]} became {pair[1]}")
    return "; ".join(found) or "unknown fields"


def to_json_or_none(message):
    try:
        return json_format.MessageToJson(message)
    except (DecodeError, json_format.Error, ValueError, TypeError, OverflowError):
        return None


def check_protobuf(kind, sent, result, refusal):
    """Protobuf that went through an archive means what it meant.

    Of a map entry with unknown fields the reference makes an unknown field, where other
    implementations keep the entry and drop those fields, as we do.
    """
    message = MESSAGES[kind]()
    try:
        message.ParseFromString(sent)
    except DecodeError:
        if refusal is None:
            raise Differences("accepted protobuf that the reference refuses")
        return None
    if refusal is not None:
        raise Differences(f"refused protobuf that the reference accepts: {refusal}")
    back = MESSAGES[kind].FromString(result)
    if has_odd_entry(message.DESCRIPTOR, sent):
        return None
    if not same(message, back):
        raise Differences(f"protobuf differs: {difference(message, back)}")
    return message


def check_owned(kind, message, result, refusal):
    """An owned struct holds all of a message but the unknown fields of wrappers."""
    if refusal is not None:
        raise Differences(f"the owned struct was refused: {refusal}")
    expected, back = strip_wrappers(message), strip_wrappers(MESSAGES[kind].FromString(result))
    if not same(expected, back):
        raise Differences(f"the owned struct differs: {difference(expected, back)}")


def strip_wrappers(message):
    def strip(nested):
        if nested.DESCRIPTOR.file.name == "google/protobuf/wrappers.proto":
            nested.DiscardUnknownFields()
    return changed(message, strip)


def settle(message):
    """What JSON does not carry made equal.

    That is the bits of NaN, numbers of NullValue, the order of map entries in an Any, and a Value
    that holds nothing, which is written as null.
    """
    def settle_one(nested):
        if nested.DESCRIPTOR.full_name == "google.protobuf.Any" and nested.type_url:
            held = HELD[nested.type_url.rsplit("/", 1)[-1]].FromString(nested.value)
            nested.value = encoded(settle(without_unknown(held)))
        if nested.DESCRIPTOR.full_name == "google.protobuf.Value" and not nested.WhichOneof("kind"):
            nested.null_value = 0
        for field, value in nested.ListFields():
            if field.message_type is not None and is_entry(field.message_type):
                field = field.message_type.fields_by_name["value"]
                if field.type in FLOAT_TYPES:
                    for key in list(value):
                        value[key] = plain_nan(value[key])
            elif field.type in FLOAT_TYPES and field.is_repeated:
                value[:] = [plain_nan(element) for element in value]
            elif field.type in FLOAT_TYPES:
                setattr(nested, field.name, plain_nan(value))
            elif field.type == F.TYPE_ENUM and not field.is_repeated and is_null_value(field):
                setattr(nested, field.name, 0)
    return changed(message, settle_one)


def plain_nan(value):
    return math.nan if math.isnan(value) else value


def changed(message, change):
    """A copy of the message, in which each message it holds was changed."""
    copy = type(message)()
    copy.CopyFrom(message)
    change_in_place(copy, change)
    return copy


def change_in_place(message, change):
    change(message)
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if is_entry(field.message_type):
            if field.message_type.fields_by_name["value"].message_type is not None:
                for key in value:
                    change_in_place(value[key], change)
        elif field.is_repeated:
            for element in value:
                change_in_place(element, change)
        else:
            change_in_place(value, change)


def check_json_written(kind, message, result, refusal):
    """JSON from an archive is what the reference reads as the same message."""
    expected = to_json_or_none(message)
    if expected is None:
        if refusal is None:
            raise Differences(f"wrote JSON where the reference refuses: {result.decode()}")
        return
    if refusal is not None:
        raise Differences(f"refused to write JSON: {refusal}\n{expected}")
    back = json_format.Parse(result.decode(), MESSAGES[kind]())
    if not same(settle(without_unknown(message)), settle(back)):
        raise Differences(f"JSON written differs: {difference(without_unknown(message), back)}")
    if kind_of_json(json.loads(result)) != kind_of_json(json.loads(expected)):
        raise Differences(f"JSON has another form:\n{result.decode()}\n--- expected ---\n{expected}")


def kind_of_json(value):
    """The form of a text: which members and elements there are, and of which type.

    Values were compared as messages; floats have more than one shortest form.
    """
    if isinstance(value, dict):
        return {name: kind_of_json(member) for name, member in value.items()}
    if isinstance(value, list):
        return [kind_of_json(element) for element in value]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return "number"
    return value


def check_json_read(kind, message, text, to_protobuf, to_json):
    if text is None:
        return
    for (result, refusal), read in [(to_protobuf, MESSAGES[kind].FromString),
                                    (to_json, lambda t: json_format.Parse(t.decode(), MESSAGES[kind]()))]:
        if refusal is not None:
            raise Differences(f"refused JSON that the reference wrote: {refusal}\n{text}")
        expected = json_format.Parse(text, MESSAGES[kind]())
        back = read(result)
        if not same(settle(expected), settle(back)):
            raise Differences(f"JSON read differs: {difference(expected, back)}\n{text}")


def play(seed, index):
    r = random.Random(f"{seed}/{index}")
    kind = r.choice(["AllKinds"] * 4 + ["Leaf", "Older"])
    source = MESSAGES["AllKinds" if kind == "Older" else kind]()
    fill(r, source, 3)
    sent = encoded(source)
    how = r.random()
    if how > 0.4:
        sent = scramble(r, source.DESCRIPTOR, sent)
    if how > 0.6 and r.random() < 0.5:
        other = type(source)()
        fill(r, other, 2)
        sent += encoded(other)
    if how > 0.85:
        sent = mutate(r, sent)
    text = None
    try:
        text = make_json(r, without_unknown(MESSAGES[kind].FromString(sent)))
    except (DecodeError, json_format.Error, ValueError, TypeError, OverflowError):
        pass
    write_frame((PACKAGE + kind).encode())
    write_frame(sent)
    write_frame(b"" if text is None else text.encode())
    sys.stdout.buffer.flush()
    answers = [answer() for _ in range(5)]
    try:
        message = check_protobuf(kind, sent, *answers[0])
        if message is not None:
            check_owned(kind, message, *answers[1])
            check_json_written(kind, message, *answers[2])
        check_json_read(kind, message, text, answers[3], answers[4])
    except Differences as error:
        print(f"seed {seed} round {index} kind {kind}: {error}\nsent: {sent.hex()}", file=sys.stderr)
        return False
    except Exception as error:
        print(f"seed {seed} round {index} kind {kind}: {error!r}\nsent: {sent.hex()}", file=sys.stderr)
        return False
    return True


def main():
    seed, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    descriptors = descriptor_pb2.FileDescriptorSet.FromString(read_frame())
    pool = descriptor_pool.Default()
    for file in descriptors.file:
        if not file.name.startswith("google/protobuf/"):
            pool.AddSerializedFile(file.SerializeToString())
    for name in ["AllKinds", "Leaf", "Older"]:
        HELD[PACKAGE + name] = MESSAGES[name] = message_factory.GetMessageClass(pool.FindMessageTypeByName(PACKAGE + name))
    differences = 0
    for index in range(first, first + count):
        differences += not play(seed, index)
        if differences >= 10:
            break
    print(f"{api_implementation.Type()}: {count} rounds, {differences} differences", file=sys.stderr)
    sys.exit(1 if differences else 0)


# The messages that rounds are about, by their short names.
MESSAGES = {}
# What an Any may hold, by full name.
HELD = {message.DESCRIPTOR.full_name: message for message in [
    duration_pb2.Duration, struct_pb2.Value, wrappers_pb2.Int64Value]}

if __name__ == "__main__":
    main()
