#!py


def run():
    workers = __grains__["shop_workers"]
    return {"web": {"cmd.run": [{"name": f"echo {workers}"}]}}
