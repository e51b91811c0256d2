def filled(name, litres, jars):
    per_jar = litres / jars
    return {"name": name, "result": True, "changes": {}, "comment": f"{per_jar} litres in each jar"}
