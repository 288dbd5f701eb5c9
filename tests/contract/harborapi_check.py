#!/usr/bin/env python3
"""Drives a running Cove with harborapi (PyPI), a client that others wrote for Harbor: its models
must accept our replies, its requests must be accepted by us.

usage: python3 -m venv tests/.venv && tests/.venv/bin/pip install harborapi==0.26.2
       tests/.venv/bin/python tests/contract/harborapi_check.py URL ADMIN_PASSWORD [UPSTREAM_URL]

UPSTREAM_URL: a registry that Cove may reach (outbound.allow), for the operations on registries.
"""
import asyncio
import secrets
import sys

from harborapi import HarborAsyncClient
from harborapi.models import (Access, ProjectMember, ProjectMetadata, ProjectReq, QuotaUpdateReq,
                              Registry, RegistryUpdate, ResourceList, RobotCreate, RobotPermission,
                              RoleRequest, UserCreationReq, UserEntity, UserProfile)

TAG = secrets.token_hex(4)
PASSWORD = "Secret-word-1"


async def users(client):
    name = "user" + TAG
    where = await client.create_user(UserCreationReq(
        username=name, password=PASSWORD, realname=name, email=f"{name}@example.com", comment=""))
    user_id = int(where.rsplit("/", 1)[1])
    assert (await client.get_user(user_id)).username == name
    assert (await client.get_user_by_username(name)).user_id == user_id
    assert name in [u.username for u in await client.search_users_by_username(name)]
    await client.update_user(user_id, UserProfile(email=f"{name}@example.org", realname="R"))
    assert (await client.get_current_user()).username == "admin"
    assert await client.get_users(query=f"username={name}")
    await client.get_current_user_permissions("/project/1", relative=True)
    await client.set_user_admin(user_id, True)
    await client.set_user_password(user_id, "Another-word-2", PASSWORD)
    return name, user_id


async def projects(client, user):
    name = "project" + TAG
    await client.create_project(ProjectReq(project_name=name, public=False,
                                           metadata=ProjectMetadata(severity="high")))
    project = await client.get_project(name)
    assert project.name == name and project.metadata.severity == "high"
    assert await client.project_exists(name) and not await client.project_exists("no" + TAG)
    assert name in [p.name for p in await client.get_projects(query=f"name=~{name}")]
    await client.update_project(name, ProjectReq(metadata=ProjectMetadata(auto_scan="true")))
    await client.get_project_summary(name)
    assert (await client.get_project_deletable(name)).deletable
    await client.get_project_metadata(name)
    await client.update_project_metadata_entry(name, "severity", {"severity": "low"})
    await client.delete_project_metadata_entry(name, "severity")
    await client.add_project_member(name, ProjectMember(
        role_id=2, member_user=UserEntity(username=user)))
    member = next(m for m in await client.get_project_members(name) if m.entity_name == user)
    await client.update_project_member_role(name, member.id, RoleRequest(role_id=4))
    assert (await client.get_project_member(name, member.id)).role_id == 4
    await client.remove_project_member(name, member.id)
    await client.get_repositories(name)
    await client.get_project_artifacts(name)
    quota = await client.get_quota(project.project_id)
    assert quota.used is not None
    await client.update_quota(project.project_id, QuotaUpdateReq(
        hard=ResourceList.model_validate({"storage": 1 << 30})))
    assert await client.get_quotas()
    return name


async def robots(client, project):
    made = await client.create_robot(RobotCreate(
        name="robot" + TAG, level="project", duration=30, permissions=[RobotPermission(
            kind="project", namespace=project,
            access=[Access(resource="repository", action="pull")])]))
    robot = await client.get_robot(made.id)
    assert robot.level == "project" and made.secret
    robot.description = "changed"
    await client.update_robot(made.id, robot)
    await client.refresh_robot_secret(made.id, PASSWORD)
    assert (await client.get_robots(query="Level=system")) is not None
    await client.get_permissions()
    await client.delete_robot(made.id)


async def registries(client, upstream):
    assert "docker-hub" in await client.get_registry_adapters()
    await client.get_registry_providers()
    if not upstream:
        return
    where = await client.create_registry(Registry(
        name="registry" + TAG, type="docker-registry", url=upstream))
    registry = int(where.rsplit("/", 1)[1])
    assert (await client.get_registry(registry)).status == "healthy"
    await client.update_registry(registry, RegistryUpdate(description="d"))
    await client.get_registry_info(registry)
    assert await client.get_registries()
    name = "proxy" + TAG
    await client.create_project(ProjectReq(project_name=name, registry_id=registry))
    retention = await client.get_project_retention_id(name)
    assert (await client.get_retention_policy(retention)).algorithm == "or"
    await client.delete_project(name)
    await client.delete_registry(registry)


async def system(client):
    assert await client.ping() == "Pong"
    assert (await client.health_check()).status == "healthy"
    assert (await client.get_system_info()).harbor_version
    await client.get_system_volume_info()
    await client.get_statistics()
    await client.get_retention_metadata()
    assert (await client.search("library")).project


async def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    url, password = sys.argv[1:3]
    client = HarborAsyncClient(url=url.rstrip("/") + "/api/v2.0", username="admin",
                               secret=password)
    await system(client)
    user, user_id = await users(client)
    project = await projects(client, user)
    await robots(client, project)
    await registries(client, sys.argv[3] if len(sys.argv) == 4 else None)
    await client.delete_project(project)
    await client.delete_user(user_id)
    print("harborapi: ok")


if __name__ == "__main__":
    asyncio.run(main())
