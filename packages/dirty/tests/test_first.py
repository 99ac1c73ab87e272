from hostler_dirty import get_dirty_client

def test_echo(make_pool):
    pool = make_pool("Echo")
    c = get_dirty_client(10)
    assert c.execute("pool_apps:Echo", "echo", {"a": [1, 2.5, "x", None, b"y"]}) == {"a": [1, 2.5, "x", None, b"y"]}
    for i in range(100):
        assert c.execute("pool_apps:Echo", "echo", i) == i
    big = bytes(range(256)) * 4096 * 10
    assert c.execute("pool_apps:Echo", "echo", big) == big
    assert list(c.stream("pool_apps:Echo", "count_to", 1000)) == list(range(1000))
    print(pool.status())

def test_async(make_pool):
    import asyncio
    from hostler_dirty import close_dirty_client_async
    pool = make_pool("Echo", workers=2)
    async def main():
        c = get_dirty_client(10)
        assert await c.execute_async("pool_apps:Echo", "echo", 5) == 5
        r = await asyncio.gather(*(c.execute_async("pool_apps:Echo", "echo", i) for i in range(100)))
        assert r == list(range(100))
        assert [x async for x in c.stream_async("pool_apps:Echo", "count_to", 500)] == list(range(500))
        await close_dirty_client_async()
    asyncio.run(main())
