"""AWS's own cache for Python works as it is."""

from aws_secretsmanager_caching import InjectKeywordedSecretString, SecretCache, SecretCacheConfig
from waiting import until


def test_a_cache_reads_values_and_follows_labels(sm, name):
    sm.create_secret(Name=name, SecretString='{"username": "app", "password": "p1"}')
    sm.create_secret(Name=name + "b", SecretBinary=b"\x00\x01")
    cache = SecretCache(SecretCacheConfig(secret_refresh_interval=1, max_cache_size=10), sm)
    assert cache.get_secret_string(name) == '{"username": "app", "password": "p1"}'
    assert cache.get_secret_binary(name + "b") == b"\x00\x01"

    @InjectKeywordedSecretString(secret_id=name, cache=cache, user="username", key="password")
    def login(user, key):
        return user, key

    assert login() == ("app", "p1")
    sm.put_secret_value(SecretId=name, SecretString='{"username": "app", "password": "p2"}')
    until("the new value", lambda: login() == ("app", "p2"))
    assert "p1" in cache.get_secret_string(name, version_stage="AWSPREVIOUS")


def test_what_is_not_there_is_refused_through_the_cache(sm, name):
    cache = SecretCache(client=sm)
    try:
        cache.get_secret_string(name)
    except sm.exceptions.ResourceNotFoundException:
        return
    raise AssertionError("a value came from nowhere")
