"""Lambda: Python functions that run from their real zip, in processes that stay warm between invocations."""

from ..service import Service
from . import functions, permissions

SERVICE = Service(
    "lambda",
    {
        "AddPermission": permissions.add_permission,
        "CreateFunction": functions.create_function,
        "DeleteFunction": functions.delete_function,
        "GetFunction": functions.get_function,
        "GetFunctionConfiguration": functions.get_function_configuration,
        "GetPolicy": permissions.get_policy,
        "Invoke": functions.invoke,
        "ListFunctions": functions.list_functions,
        "ListTags": functions.list_tags,
        "RemovePermission": permissions.remove_permission,
        "TagResource": functions.tag_resource,
        "UntagResource": functions.untag_resource,
        "UpdateFunctionCode": functions.update_function_code,
        "UpdateFunctionConfiguration": functions.update_function_configuration,
    },
)
