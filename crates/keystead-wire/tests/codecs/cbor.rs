//! rpc-v2-cbor: the cases of `smithy-protocol-tests/model/rpcv2Cbor` (Smithy, Apache-2.0).

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use keystead_wire::schema::{Kind, Schema};
use keystead_wire::{ErrorAnswer, Value, cbor};

use crate::support::*;

static LISTS: Schema = Schema {
    name: "RpcV2CborListInputOutput",
    sensitive: false,
    kind: Kind::Structure(&[
        member("stringList", &TEXTS),
        member("stringSet", &TEXTS),
        member("integerList", &INTEGERS),
        member("booleanList", &FLAGS),
        member("timestampList", &INSTANTS),
        member("enumList", &TEXTS),
        member("intEnumList", &INTEGERS),
        member("nestedStringList", &TEXT_LISTS),
        member("structureList", &TEXT_MAPS),
        member("blobList", &BLOBS),
    ]),
};
static TEXT_MAPS: Schema = Schema {
    name: "StructureList",
    sensitive: false,
    kind: Kind::List {
        member: &PAIR,
        length: keystead_wire::schema::Range::ANY,
        flattened: false,
        wire_name: "member",
    },
};
static PAIR: Schema = Schema {
    name: "StructureListMember",
    sensitive: false,
    kind: Kind::Structure(&[member("a", &TEXT), member("b", &TEXT)]),
};
static MAPS: Schema = Schema {
    name: "RpcV2CborDenseMapsInputOutput",
    sensitive: false,
    kind: Kind::Structure(&[member("denseSetMap", &TEXTS_MAP)]),
};
static NESTED: Schema = Schema {
    name: "RecursiveShapesInputOutputNested1",
    sensitive: false,
    kind: Kind::Structure(&[member("foo", &TEXT), member("nested", &NESTED_2)]),
};
static NESTED_2: Schema = Schema {
    name: "RecursiveShapesInputOutputNested2",
    sensitive: false,
    kind: Kind::Structure(&[member("bar", &TEXT), member("recursiveMember", &NESTED)]),
};
static RECURSIVE: Schema = Schema {
    name: "RecursiveShapesInputOutput",
    sensitive: false,
    kind: Kind::Structure(&[member("nested", &NESTED)]),
};
static FLOAT: Schema = Schema {
    name: "Float16Output",
    sensitive: false,
    kind: Kind::Structure(&[member("value", &DOUBLE)]),
};
static DATE: Schema = Schema {
    name: "FractionalSecondsOutput",
    sensitive: false,
    kind: Kind::Structure(&[member("datetime", &INSTANT)]),
};

fn decode(body: &str, schema: &'static Schema) -> Result<Value, ErrorAnswer> {
    cbor::decode(&BASE64_STANDARD.decode(body).unwrap(), schema)
}

fn scalars() -> Value {
    structure(
        &SCALARS,
        [
            ("byteValue", Value::Integer(5)),
            ("doubleValue", Value::Double(1.889)),
            ("falseBooleanValue", Value::Boolean(false)),
            ("floatValue", Value::Double(7.625)),
            ("integerValue", Value::Integer(256)),
            ("longValue", Value::Integer(9873)),
            ("shortValue", Value::Integer(9898)),
            ("stringValue", text("simple")),
            ("trueBooleanValue", Value::Boolean(true)),
            ("blobValue", blob("foo")),
        ],
    )
}

fn upcast() -> Value {
    structure(
        &SCALARS,
        [
            ("doubleValue", Value::Double(1.5)),
            ("floatValue", Value::Double(7.625)),
            ("integerValue", Value::Integer(56)),
            ("longValue", Value::Integer(256)),
            ("shortValue", Value::Integer(10)),
        ],
    )
}

fn floats(number: f64) -> Value {
    let number = Value::Double(number);
    structure(
        &SCALARS,
        [("doubleValue", number.clone()), ("floatValue", number)],
    )
}

fn lists() -> Value {
    let pair = |a, b| structure(&PAIR, [("a", text(a)), ("b", text(b))]);
    let one_two = Value::List(vec![Value::Integer(1), Value::Integer(2)]);
    structure(
        &LISTS,
        [
            ("stringList", texts(["foo", "bar"])),
            ("stringSet", texts(["foo", "bar"])),
            ("integerList", one_two.clone()),
            (
                "booleanList",
                Value::List(vec![Value::Boolean(true), Value::Boolean(false)]),
            ),
            (
                "timestampList",
                Value::List(vec![seconds(1_398_796_238), seconds(1_398_796_238)]),
            ),
            ("enumList", texts(["Foo", "0"])),
            ("intEnumList", one_two),
            (
                "nestedStringList",
                Value::List(vec![texts(["foo", "bar"]), texts(["baz", "qux"])]),
            ),
            (
                "structureList",
                Value::List(vec![pair("1", "2"), pair("3", "4")]),
            ),
            ("blobList", Value::List(vec![blob("foo"), blob("bar")])),
        ],
    )
}

fn chunked() -> Value {
    let strings = texts([
        "An example indefinite string, which will be chunked, on each comma",
        "Another example indefinite string with only one chunk",
        "This is a plain string",
    ]);
    structure(&LISTS, [("stringList", strings)])
}

fn recursive() -> Value {
    let inner = structure(&NESTED_2, [("bar", text("Bar2"))]);
    let inner = structure(&NESTED, [("foo", text("Foo2")), ("nested", inner)]);
    let outer = structure(
        &NESTED_2,
        [("bar", text("Bar1")), ("recursiveMember", inner)],
    );
    let outer = structure(&NESTED, [("foo", text("Foo1")), ("nested", outer)]);
    structure(&RECURSIVE, [("nested", outer)])
}

#[test]
fn cases_of_smithy() {
    let an_example = |s| text(&format!("An example indefinite{s}, chunked on comma"));
    let sets = map([("x", texts([])), ("y", texts(["a", "b"]))]);
    let cases: &[(&str, &str, Value, &'static Schema)] = &[
        (
            "SimpleScalarProperties",
            "v2lieXRlVmFsdWUFa2RvdWJsZVZhbHVl+z/+OVgQYk3TcWZhbHNlQm9vbGVhblZhbHVl9GpmbG9hdFZhbHVl+kD0AABsaW50ZWdlclZhbHVlGQEAaWxvbmdWYWx1ZRkmkWpzaG9ydFZhbHVlGSaqa3N0cmluZ1ZhbHVlZnNpbXBsZXB0cnVlQm9vbGVhblZhbHVl9WlibG9iVmFsdWVDZm9v/w==",
            scalars(),
            &SCALARS,
        ),
        (
            "SimpleScalarPropertiesUsingIndefiniteLength",
            "qmlieXRlVmFsdWUFf2Zkb3VibGVlVmFsdWX/+z/+OVgQYk3Tf2VmYWxzZWdCb29sZWFuZVZhbHVl//RqZmxvYXRWYWx1ZfpA9AAAbGludGVnZXJWYWx1ZRkBAGlsb25nVmFsdWUZJpFqc2hvcnRWYWx1ZRkmqn9mc3RyaW5nZVZhbHVl/2ZzaW1wbGVwdHJ1ZUJvb2xlYW5WYWx1ZfVpYmxvYlZhbHVlQ2Zvbw==",
            scalars(),
            &SCALARS,
        ),
        (
            "ServerDoesntDeSerializeNullStructureValues",
            "v2tzdHJpbmdWYWx1Zfb/",
            structure(&SCALARS, []),
            &SCALARS,
        ),
        (
            "SupportsInfinityFloatInputs",
            "v2tkb3VibGVWYWx1Zft/8AAAAAAAAGpmbG9hdFZhbHVl+n+AAAD/",
            floats(f64::INFINITY),
            &SCALARS,
        ),
        (
            "SupportsNegativeInfinityFloatInputs",
            "v2tkb3VibGVWYWx1Zfv/8AAAAAAAAGpmbG9hdFZhbHVl+v+AAAD/",
            floats(f64::NEG_INFINITY),
            &SCALARS,
        ),
        (
            "IndefiniteLengthStringsCanBeDeserialized",
            "oWtzdHJpbmdWYWx1ZX94HUFuIGV4YW1wbGUgaW5kZWZpbml0ZSBzdHJpbmcscSBjaHVua2VkIG9uIGNvbW1h/w==",
            structure(&SCALARS, [("stringValue", an_example(" string"))]),
            &SCALARS,
        ),
        (
            "IndefiniteLengthByteStringsCanBeDeserialized",
            "oWlibG9iVmFsdWVfWCJBbiBleGFtcGxlIGluZGVmaW5pdGUtYnl0ZSBzdHJpbmcsUSBjaHVua2VkIG9uIGNvbW1h/w==",
            structure(
                &SCALARS,
                [(
                    "blobValue",
                    blob("An example indefinite-byte string, chunked on comma"),
                )],
            ),
            &SCALARS,
        ),
        (
            "SupportsUpcastingData",
            "v2tkb3VibGVWYWx1Zfk+AGpmbG9hdFZhbHVl+UegbGludGVnZXJWYWx1ZRg4aWxvbmdWYWx1ZRkBAGpzaG9ydFZhbHVlCv8=",
            upcast(),
            &SCALARS,
        ),
        (
            "ExtraFieldsInTheBodyShouldBeSkippedByServers",
            "v2lieXRlVmFsdWUFa2RvdWJsZVZhbHVl+z/+OVgQYk3TcWZhbHNlQm9vbGVhblZhbHVl9GpmbG9hdFZhbHVl+kD0AABrZXh0cmFPYmplY3S/c2luZGVmaW5pdGVMZW5ndGhNYXC/a3dpdGhBbkFycmF5nwECA///cWRlZmluaXRlTGVuZ3RoTWFwo3J3aXRoQURlZmluaXRlQXJyYXmDAQIDeB1hbmRTb21lSW5kZWZpbml0ZUxlbmd0aFN0cmluZ3gfdGhhdCBoYXMsIGJlZW4gY2h1bmtlZCBvbiBjb21tYWxub3JtYWxTdHJpbmdjZm9vanNob3J0VmFsdWUZJw9uc29tZU90aGVyRmllbGR2dGhpcyBzaG91bGQgYmUgc2tpcHBlZP9saW50ZWdlclZhbHVlGQEAaWxvbmdWYWx1ZRkmkWpzaG9ydFZhbHVlGSaqa3N0cmluZ1ZhbHVlZnNpbXBsZXB0cnVlQm9vbGVhblZhbHVl9WlibG9iVmFsdWVDZm9v/w==",
            scalars(),
            &SCALARS,
        ),
        (
            "Lists",
            "v2pzdHJpbmdMaXN0gmNmb29jYmFyaXN0cmluZ1NldIJjZm9vY2JhcmtpbnRlZ2VyTGlzdIIBAmtib29sZWFuTGlzdIL19G10aW1lc3RhbXBMaXN0gsH7QdTX+/OAAADB+0HU1/vzgAAAaGVudW1MaXN0gmNGb29hMGtpbnRFbnVtTGlzdIIBAnBuZXN0ZWRTdHJpbmdMaXN0goJjZm9vY2JhcoJjYmF6Y3F1eG1zdHJ1Y3R1cmVMaXN0gqJhYWExYWJhMqJhYWEzYWJhNGhibG9iTGlzdIJDZm9vQ2Jhcv8=",
            lists(),
            &LISTS,
        ),
        (
            "Lists, indefinite",
            "v2pzdHJpbmdMaXN0n2Nmb29jYmFy/2lzdHJpbmdTZXSfY2Zvb2NiYXL/a2ludGVnZXJMaXN0nwEC/2tib29sZWFuTGlzdJ/19P9tdGltZXN0YW1wTGlzdJ/B+0HU1/vzgAAAwftB1Nf784AAAP9oZW51bUxpc3SfY0Zvb2Ew/2tpbnRFbnVtTGlzdJ8BAv9wbmVzdGVkU3RyaW5nTGlzdJ+fY2Zvb2NiYXL/n2NiYXpjcXV4//9tc3RydWN0dXJlTGlzdJ+/YWFhMWFiYTL/v2FhYTNhYmE0//9oYmxvYkxpc3SfQ2Zvb0NiYXL//w==",
            lists(),
            &LISTS,
        ),
        (
            "ListsEmpty",
            "v2pzdHJpbmdMaXN0n///",
            structure(&LISTS, [("stringList", texts([]))]),
            &LISTS,
        ),
        (
            "ListsEmptyUsingDefiniteLength",
            "oWpzdHJpbmdMaXN0gA==",
            structure(&LISTS, [("stringList", texts([]))]),
            &LISTS,
        ),
        (
            "IndefiniteStringInsideIndefiniteList",
            "v2pzdHJpbmdMaXN0n394HUFuIGV4YW1wbGUgaW5kZWZpbml0ZSBzdHJpbmcsdyB3aGljaCB3aWxsIGJlIGNodW5rZWQsbiBvbiBlYWNoIGNvbW1h/394NUFub3RoZXIgZXhhbXBsZSBpbmRlZmluaXRlIHN0cmluZyB3aXRoIG9ubHkgb25lIGNodW5r/3ZUaGlzIGlzIGEgcGxhaW4gc3RyaW5n//8=",
            chunked(),
            &LISTS,
        ),
        (
            "IndefiniteStringInsideDefiniteList",
            "oWpzdHJpbmdMaXN0g394HUFuIGV4YW1wbGUgaW5kZWZpbml0ZSBzdHJpbmcsdyB3aGljaCB3aWxsIGJlIGNodW5rZWQsbiBvbiBlYWNoIGNvbW1h/394NUFub3RoZXIgZXhhbXBsZSBpbmRlZmluaXRlIHN0cmluZyB3aXRoIG9ubHkgb25lIGNodW5r/3ZUaGlzIGlzIGEgcGxhaW4gc3RyaW5n",
            chunked(),
            &LISTS,
        ),
        (
            "SerializesDenseSetMap",
            "oWtkZW5zZVNldE1hcKJheIBheYJhYWFi",
            structure(&MAPS, [("denseSetMap", sets)]),
            &MAPS,
        ),
        (
            "RecursiveShapes",
            "v2ZuZXN0ZWS/Y2Zvb2RGb28xZm5lc3RlZL9jYmFyZEJhcjFvcmVjdXJzaXZlTWVtYmVyv2Nmb29kRm9vMmZuZXN0ZWS/Y2JhcmRCYXIy//////8=",
            recursive(),
            &RECURSIVE,
        ),
        (
            "RecursiveShapesUsingDefiniteLength",
            "oWZuZXN0ZWSiY2Zvb2RGb28xZm5lc3RlZKJjYmFyZEJhcjFvcmVjdXJzaXZlTWVtYmVyomNmb29kRm9vMmZuZXN0ZWShY2JhcmRCYXIy",
            recursive(),
            &RECURSIVE,
        ),
        (
            "Float16Inf",
            "oWV2YWx1Zfl8AA==",
            structure(&FLOAT, [("value", Value::Double(f64::INFINITY))]),
            &FLOAT,
        ),
        (
            "Float16NegInf",
            "oWV2YWx1Zfn8AA==",
            structure(&FLOAT, [("value", Value::Double(f64::NEG_INFINITY))]),
            &FLOAT,
        ),
        (
            "Float16Subnormal",
            "oWV2YWx1ZfkAUA==",
            structure(
                &FLOAT,
                [("value", Value::Double(0.000_004_768_371_582_031_25))],
            ),
            &FLOAT,
        ),
        (
            "DateTimeWithFractionalSeconds",
            "v2hkYXRldGltZcH7Qcw32zgPvnf/",
            structure(&DATE, [("datetime", milliseconds(946_845_296_123))]),
            &DATE,
        ),
        ("empty_input_no_body", "", structure(&SCALARS, []), &SCALARS),
        ("empty_input", "v/8=", structure(&SCALARS, []), &SCALARS),
    ];
    for (id, body, value, schema) in cases {
        assert_eq!(decode(body, schema).as_ref(), Ok(value), "{id}");
        let written = cbor::encode(value, schema);
        assert_eq!(
            cbor::decode(&written, schema).as_ref(),
            Ok(value),
            "{id}, written"
        );
    }
}

#[test]
fn nan_in_every_width() {
    for body in [
        "v2tkb3VibGVWYWx1Zft/+AAAAAAAAGpmbG9hdFZhbHVl+n/AAAD/",
        "oWtkb3VibGVWYWx1Zfl8AQ==",
        "oWtkb3VibGVWYWx1Zfl+AA==",
    ] {
        let Ok(Value::Structure(slots)) = decode(body, &SCALARS) else {
            panic!("{body}");
        };
        assert!(
            matches!(slots[3], Some(Value::Double(n)) if n.is_nan()),
            "{body}"
        );
    }
}

/// What this encoder writes, byte for byte, where Smithy's case has the same form.
#[test]
fn written_in_the_shortest_form() {
    let cases: &[(&str, Value, &'static Schema)] = &[
        (
            "oWpzdHJpbmdMaXN0gA==",
            structure(&LISTS, [("stringList", texts([]))]),
            &LISTS,
        ),
        (
            "oWZuZXN0ZWSiY2Zvb2RGb28xZm5lc3RlZKJjYmFyZEJhcjFvcmVjdXJzaXZlTWVtYmVyomNmb29kRm9vMmZuZXN0ZWShY2JhcmRCYXIy",
            recursive(),
            &RECURSIVE,
        ),
        ("oA==", structure(&SCALARS, []), &SCALARS),
        // A whole number of seconds, then 946845296.123 as a double, both under tag 1.
        (
            "oWhkYXRldGltZcEaU1/vzg==",
            structure(&DATE, [("datetime", seconds(1_398_796_238))]),
            &DATE,
        ),
        (
            "oWhkYXRldGltZcH7Qcw32zgPvnc=",
            structure(&DATE, [("datetime", milliseconds(946_845_296_123))]),
            &DATE,
        ),
    ];
    for (body, value, schema) in cases {
        assert_eq!(BASE64_STANDARD.encode(cbor::encode(value, schema)), *body);
    }
    let long = |n| {
        cbor::encode(
            &structure(&SCALARS, [("longValue", Value::Integer(n))]),
            &SCALARS,
        )
    };
    // RFC 8949, appendix A.
    for (number, head) in [
        (0, "00"),
        (23, "17"),
        (24, "1818"),
        (100, "1864"),
        (1000, "1903e8"),
        (1_000_000, "1a000f4240"),
        (1_000_000_000_000, "1b000000e8d4a51000"),
        (-1, "20"),
        (-10, "29"),
        (-100, "3863"),
        (-1000, "3903e7"),
        (i64::MIN, "3b7fffffffffffffff"),
    ] {
        let hex: String = long(number)[11..]
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        assert_eq!(hex, head, "{number}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let deep = [&b"\xa1fnested"[..], &b"\xa2cfooaxfnested".repeat(300)].concat();
    let cases: &[(&[u8], &str)] = &[
        (b"\xf6", "null"),
        (b"\x01", "a map"),
        (b"\xa1", "well-formed"),
        (b"\xbf", "well-formed"),
        (b"\xa0\x00", "after the end"),
        (b"\xa1\x01\x02", "well-formed"),
        (b"\xa1kstringValue\x01", "a text string"),
        (b"\xa1kstringValueCfoo", "a text string"),
        (b"\xa1kstringValuec\xff\xfe\xfd", "well-formed"),
        (b"\xa1iblobValuecfoo", "a byte string"),
        (b"\xa1lintegerValue\xf5", "a 32-bit integer"),
        (b"\xa1lintegerValue\x1a\xff\xff\xff\xff", "a 32-bit integer"),
        (
            b"\xa1ilongValue\x1b\xff\xff\xff\xff\xff\xff\xff\xff",
            "a 64-bit integer",
        ),
        (b"\xa1kdoubleValuecfoo", "a number"),
        (b"\xa1ptrueBooleanValue\x01", "a boolean"),
        // An array that claims 2^64-1 members takes no more memory than it has.
        (
            b"\xa1eother\x9b\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            "well-formed",
        ),
    ];
    for (body, needle) in cases {
        let error = cbor::decode(body, &SCALARS).unwrap_err();
        assert_eq!(
            (error.code, error.status),
            ("SerializationException", 400),
            "{body:x?}"
        );
        assert!(
            error.message.contains(needle),
            "{body:x?}: {}",
            error.message
        );
    }
    let huge = b"\xa1jstringList\x9b\xff\xff\xff\xff\xff\xff\xff\xffax";
    assert!(cbor::decode(huge, &LISTS).is_err());
    let error = cbor::decode(&deep, &DEEP).unwrap_err();
    assert!(error.message.contains("nests deeper"), "{}", error.message);
    for body in [
        &b"\xa1hdatetime\x01"[..],
        b"\xa1hdatetime\xc0\x01",
        b"\xa1hdatetime\xc1ax",
    ] {
        let error = cbor::decode(body, &DATE).unwrap_err();
        assert!(error.message.contains("tag 1"), "{}", error.message);
    }
}

static DEEP: Schema = Schema {
    name: "Deep",
    sensitive: false,
    kind: Kind::Structure(&[member("foo", &TEXT), member("nested", &DEEP)]),
};

#[test]
fn errors_name_their_absolute_shape() {
    let error = ErrorAnswer::new("InvalidGreeting", 400, "Hi");
    let written = cbor::encode_error(&error, "smithy.protocoltests.rpcv2Cbor", "Message");
    // Smithy's RpcV2CborInvalidGreetingError, its map with a definite length.
    let expected = "omZfX3R5cGV4LnNtaXRoeS5wcm90b2NvbHRlc3RzLnJwY3YyQ2JvciNJbnZhbGlkR3JlZXRpbmdnTWVzc2FnZWJIaQ==";
    assert_eq!(BASE64_STANDARD.encode(written), expected);
}
